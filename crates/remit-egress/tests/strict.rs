//! The bypass table on HTTP/1: every row is sent through every way in (transparent, CONNECT and
//! SOCKS5, each plain and intercepted, and absolute form), towards a server that logs every byte.
//! Whatever the row, no request appears to that server, under any lenient reading of what it got,
//! that no record permits.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::Write;

use common::{
    front::{FORMS, Form, Fronts},
    netns::isolated,
    policy::Rule,
};
use proptest::{prelude::*, test_runner::TestRunner};
use remit_core::ReasonCode::{self, *};

/// What a row comes to.
#[derive(Clone, Copy)]
enum Is {
    /// The first answer has this status, the record this reason; no byte reaches the server.
    Refused(u16, ReasonCode),
    /// The head was permitted and the body is refused: the connection ends, no request completes.
    Cut,
    /// So many requests reach the server, as written anew.
    Passed(usize),
    /// These answers, in this order.
    Answered(&'static [u16], Option<ReasonCode>),
}
use Is::{Answered, Cut, Passed, Refused};

struct Row(&'static str, &'static [u8], Is);

/// `HOST` stands for `api.test`, `PORT` for the port, `H` for the Host line, `KEY` for a
/// WebSocket's key.
const FRAMING: &[Row] = &[
    Row("plain", b"GET /a HTTP/1.1\r\nH\r\n\r\n", Passed(1)),
    Row("length", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3\r\n\r\nabc", Passed(1)),
    Row("chunked", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Passed(1)),
    Row("te_tab_before_value", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", Passed(1)),
    Row("te_upper_case", b"POST /a HTTP/1.1\r\nH\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n", Passed(1)),
    Row("cl_twice_same", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_twice_differing", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 0\r\nContent-Length: 27\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", Refused(400, MalformedRequest)),
    Row("cl_twice_other_case", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\nabcd", Refused(400, MalformedRequest)),
    Row("cl_list", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3, 3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_plus_4", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: +4\r\n\r\nabcd", Refused(400, MalformedRequest)),
    Row("cl_minus", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: -1\r\n\r\n", Refused(400, MalformedRequest)),
    Row("cl_hex", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 0x3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_empty", b"POST /a HTTP/1.1\r\nH\r\nContent-Length:\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_inner_space", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 1 0\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_overflow", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 18446744073709551619\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_letter", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3a\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_point", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 3.0\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_vt", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: \x0b3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_other_digits", "POST /a HTTP/1.1\r\nH\r\nContent-Length: \u{663}\r\n\r\nabc".as_bytes(), Refused(400, MalformedRequest)),
    Row("cl_low_line", b"POST /a HTTP/1.1\r\nH\r\nContent_Length: 27\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", Refused(400, MalformedRequest)),
    Row("cl_letters_only", b"POST /a HTTP/1.1\r\nH\r\nContentLength: 3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("cl_and_te", b"POST /a HTTP/1.1\r\nH\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", Refused(400, MalformedRequest)),
    Row("te_and_cl", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_twice", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_twice_identity", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_xchunked", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_chunked_identity", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_identity_chunked", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_identity", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: identity\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_gzip_chunked", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_chunked_twice_in_one", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_vt", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_ff", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_nbsp", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_nul", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_quoted", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_comma", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_parameter", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_empty", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding:\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_folded", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_space_before_colon", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_tab_before_colon", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_low_line", b"POST /a HTTP/1.1\r\nH\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_odd_mark", b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding!: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("te_in_http_1_0", b"POST /a HTTP/1.0\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("get_with_a_request_as_body", b"GET /a HTTP/1.1\r\nH\r\nContent-Length: 29\r\n\r\nGET /secret HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("head_with_a_body", b"HEAD /a HTTP/1.1\r\nH\r\nContent-Length: 3\r\n\r\nabc", Refused(400, MalformedRequest)),
    Row("get_with_chunks", b"GET /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("get_with_no_length", b"GET /a HTTP/1.1\r\nH\r\nContent-Length: 0\r\n\r\n", Passed(1)),
    Row("te_hop_by_hop_named", b"POST /a HTTP/1.1\r\nH\r\nConnection: transfer-encoding, content-length, host\r\nContent-Length: 3\r\n\r\nabc", Passed(1)),
];

const LINES: &[Row] = &[
    Row(
        "bare_lf_after_host",
        b"GET /a HTTP/1.1\r\nHost: HOST\nX: a\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("bare_lf_request_line", b"GET /a HTTP/1.1\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("bare_lf_only", b"GET /a HTTP/1.1\nHost: HOST\n\n", Refused(400, MalformedRequest)),
    Row(
        "bare_lf_hides_te",
        b"POST /a HTTP/1.1\r\nH\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("bare_cr", b"GET /a HTTP/1.1\r\nH\r\nX: a\rb\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "bare_cr_hides_request",
        b"GET /a HTTP/1.1\r\nH\r\nX: a\r\r\rGET /b HTTP/1.1\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("cr_cr_lf", b"GET /a HTTP/1.1\r\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("lf_cr", b"GET /a HTTP/1.1\r\nH\n\r\n\r", Refused(400, MalformedRequest)),
    Row("nul_in_value", b"GET /a HTTP/1.1\r\nH\r\nX: a\0b\r\n\r\n", Refused(400, MalformedRequest)),
    Row("nul_in_name", b"GET /a HTTP/1.1\r\nH\r\nX\0Y: a\r\n\r\n", Refused(400, MalformedRequest)),
    Row("nul_in_target", b"GET /a\0 HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("control_byte", b"GET /a HTTP/1.1\r\nH\r\nX: \x01\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "escape_byte",
        b"GET /a HTTP/1.1\r\nH\r\nX: \x1b[2J\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("delete_byte", b"GET /a HTTP/1.1\r\nH\r\nX: \x7f\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "obs_fold_space",
        b"GET /a HTTP/1.1\r\nH\r\nX: a\r\n b\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "obs_fold_tab",
        b"GET /a HTTP/1.1\r\nH\r\nX: a\r\n\tb: c\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "obs_fold_first",
        b"GET /a HTTP/1.1\r\n H\r\nHost: HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "obs_fold_host",
        b"GET /a HTTP/1.1\r\nHost:\r\n HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("no_colon", b"GET /a HTTP/1.1\r\nH\r\nX\r\n\r\n", Refused(400, MalformedRequest)),
    Row("no_name", b"GET /a HTTP/1.1\r\nH\r\n: a\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "name_with_space",
        b"GET /a HTTP/1.1\r\nH\r\nX Y: a\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "name_not_ascii",
        b"GET /a HTTP/1.1\r\nH\r\nX\xe9: a\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("empty_line_in_front", b"\r\nGET /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("space_in_front", b" GET /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("two_spaces", b"GET  /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("tab_for_space", b"GET\t/a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("vt_for_space", b"GET\x0b/a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("space_after_version", b"GET /a HTTP/1.1 \r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("word_after_version", b"GET /a HTTP/1.1 x\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("http_0_9", b"GET /a\r\n", Refused(400, MalformedRequest)),
    Row("http_0_9_two", b"GET /a\r\nGET /b\r\n\r\n", Refused(400, MalformedRequest)),
    Row("version_2_0", b"GET /a HTTP/2.0\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("version_1_2", b"GET /a HTTP/1.2\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("version_1_10", b"GET /a HTTP/1.10\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("version_lower", b"GET /a http/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "version_other",
        b"GET /a ICY/1.1\r\nH\r\nX: HTTP/\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("method_lower", b"get /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("method_mixed", b"Get /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("method_odd", b"GET\"X /a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("http_1_0", b"GET /a HTTP/1.0\r\nH\r\n\r\n", Passed(1)),
    Row("http_1_0_two", b"GET /a HTTP/1.0\r\nH\r\n\r\nGET /b HTTP/1.0\r\nH\r\n\r\n", Passed(1)),
    Row("value_latin_1", b"GET /a HTTP/1.1\r\nH\r\nX: caf\xe9\r\n\r\n", Passed(1)),
];

/// After `POST /a` with `Transfer-Encoding: chunked`; each is followed by a smuggled request.
const CHUNKS: &[Row] = &[
    Row("hex_mark", b"0x3\r\nabc\r\n0\r\n\r\n", Cut),
    Row("upper_hex_mark", b"0X3\r\nabc\r\n0\r\n\r\n", Cut),
    Row("plus", b"+3\r\nabc\r\n0\r\n\r\n", Cut),
    Row("minus", b"-1\r\nabc\r\n0\r\n\r\n", Cut),
    Row("space_in_front", b" 3\r\nabc\r\n0\r\n\r\n", Cut),
    Row("space_behind", b"3 \r\nabc\r\n0\r\n\r\n", Cut),
    Row("tab_behind", b"3\t\r\nabc\r\n0\r\n\r\n", Cut),
    Row("empty_size", b"\r\nabc\r\n0\r\n\r\n", Cut),
    Row("no_digit", b"g\r\nabc\r\n0\r\n\r\n", Cut),
    Row("extension", b"3;a=b\r\nabc\r\n0\r\n\r\n", Cut),
    Row("extension_lf", b"3;a\nxx\r\nabc\r\n0\r\n\r\n", Cut),
    Row("extension_hides_size", b"3;\n4c\r\nabc\r\n0\r\n\r\n", Cut),
    Row("extension_quoted", b"3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", Cut),
    Row("extension_on_last", b"3\r\nabc\r\n0;x\r\n\r\n", Cut),
    Row("bare_lf_after_size", b"3\nabc\r\n0\r\n\r\n", Cut),
    Row("bare_cr_after_size", b"3\rabc\r\n0\r\n\r\n", Cut),
    Row("bare_lf_after_data", b"3\r\nabc\n0\r\n\r\n", Cut),
    Row("nothing_after_data", b"3\r\nabc0\r\n\r\n", Cut),
    Row("longer_than_said", b"3\r\nabcd\r\n0\r\n\r\n", Cut),
    Row("wraps_32_bits", b"100000003\r\nabc\r\n0\r\n\r\n", Cut),
    Row("wraps_64_bits", b"10000000000000003\r\nabc\r\n0\r\n\r\n", Cut),
    Row("all_bits", b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", Cut),
    Row("nul_after_size", b"3\0\r\nabc\r\n0\r\n\r\n", Cut),
    Row("last_with_hex_mark", b"3\r\nabc\r\n0x0\r\n\r\n", Cut),
    Row("trailer_content_length", b"0\r\nContent-Length: 10\r\n\r\n", Cut),
    Row("trailer_transfer_encoding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", Cut),
    Row("trailer_host", b"0\r\nHost: evil.test\r\n\r\n", Cut),
    Row("trailer_host_low_line", b"0\r\nHost_: evil.test\r\n\r\n", Cut),
    Row("trailer_te_low_line", b"0\r\ntransfer_encoding: chunked\r\n\r\n", Cut),
    Row("trailer_connection", b"0\r\nConnection: close\r\n\r\n", Cut),
    Row("trailer_authorization", b"0\r\nAuthorization: x\r\n\r\n", Cut),
    Row("trailer_cookie", b"0\r\nCookie: x\r\n\r\n", Cut),
    Row("trailer_override", b"0\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", Cut),
    Row("trailer_forwarded", b"0\r\nX-Forwarded-Host: evil.test\r\n\r\n", Cut),
    Row("trailer_folded", b"0\r\nX: a\r\n b\r\n\r\n", Cut),
    Row("trailer_bare_lf", b"0\r\nX: a\n\r\n", Cut),
    Row("trailer_no_colon", b"0\r\nGET /b HTTP/1.1\r\n\r\n", Cut),
];

const UPGRADES: &[Row] = &[
    Row("pipelined_behind_upgrade", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\n\r\nGET /secret HTTP/1.1\r\nH\r\n\r\n", Answered(&[200, 403], Some(PathNotListed))),
    Row("foreign_behind_upgrade", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\n\r\nGET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n", Answered(&[200, 421], Some(AuthorityMismatch))),
    Row("upgrade_with_length", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\nContent-Length: 5\r\n\r\nGET /", Refused(400, MalformedRequest)),
    Row("upgrade_with_chunks", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_post", b"POST /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_http_1_0", b"GET /a HTTP/1.0\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_twice", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\nKEY\r\n\r\n", Refused(400, UnsupportedProtocol)),
    Row("upgrade_list", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nKEY\r\n\r\n", Refused(400, UnsupportedProtocol)),
    Row("upgrade_without_key", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_with_two_keys", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKEY\r\nKEY\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_with_a_short_key", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n\r\n", Refused(400, MalformedRequest)),
    Row("upgrade_of_a_draft", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key1: 1 2\r\nSec-WebSocket-Key2: 3 4\r\n\r\n12345678", Refused(400, MalformedRequest)),
    Row("upgrade_tls", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", Refused(400, UnsupportedProtocol)),
    Row("upgrade_h2c", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", Refused(400, UnsupportedProtocol)),
    Row("h2c_settings_alone", b"GET /a HTTP/1.1\r\nH\r\nConnection: HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", Refused(400, UnsupportedProtocol)),
    Row("upgrade_without_connection", b"GET /a HTTP/1.1\r\nH\r\nUpgrade: websocket\r\nKEY\r\n\r\n", Passed(1)),
    Row("connection_without_upgrade", b"GET /a HTTP/1.1\r\nH\r\nConnection: Upgrade\r\n\r\n", Passed(1)),
    Row("nested_connect", b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", Refused(400, MalformedRequest)),
    Row("nested_connect_own_host", b"CONNECT HOST:PORT HTTP/1.1\r\nHost: HOST:PORT\r\n\r\nGET /secret HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
];

const HOSTS: &[Row] = &[
    Row("with_port", b"GET /a HTTP/1.1\r\nHost: HOST:PORT\r\n\r\n", Passed(1)),
    Row("upper_case", b"GET /a HTTP/1.1\r\nHost: API.Test\r\n\r\n", Passed(1)),
    Row("trailing_dot", b"GET /a HTTP/1.1\r\nHost: HOST.\r\n\r\n", Passed(1)),
    Row("missing", b"GET /a HTTP/1.1\r\nX: a\r\n\r\n", Refused(400, MalformedRequest)),
    Row("empty", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "twice_same",
        b"GET /a HTTP/1.1\r\nH\r\nHost: HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "twice_foreign",
        b"GET /a HTTP/1.1\r\nH\r\nHost: evil.test\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "foreign_first",
        b"GET /a HTTP/1.1\r\nHost: evil.test\r\nHost: HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "disguised",
        b"GET /a HTTP/1.1\r\nH\r\nHost_: evil.test\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "disguised_in_front",
        b"GET /a HTTP/1.1\r\n_Host: evil.test\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "space_before_colon",
        b"GET /a HTTP/1.1\r\nHost : HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("foreign", b"GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n", Refused(421, AuthorityMismatch)),
    Row(
        "listed_other",
        b"GET /a HTTP/1.1\r\nHost: other.test\r\n\r\n",
        Refused(421, AuthorityMismatch),
    ),
    Row("subdomain", b"GET /a HTTP/1.1\r\nHost: x.HOST\r\n\r\n", Refused(421, AuthorityMismatch)),
    Row(
        "suffix",
        b"GET /a HTTP/1.1\r\nHost: HOST.evil.test\r\n\r\n",
        Refused(421, AuthorityMismatch),
    ),
    Row(
        "other_port",
        b"GET /a HTTP/1.1\r\nHost: HOST:8443\r\n\r\n",
        Refused(421, AuthorityMismatch),
    ),
    Row("port_0", b"GET /a HTTP/1.1\r\nHost: HOST:0\r\n\r\n", Refused(400, MalformedRequest)),
    Row("port_empty", b"GET /a HTTP/1.1\r\nHost: HOST:\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "port_plus",
        b"GET /a HTTP/1.1\r\nHost: HOST:+PORT\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "port_too_large",
        b"GET /a HTTP/1.1\r\nHost: HOST:65616\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("port_alone", b"GET /a HTTP/1.1\r\nHost: :PORT\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "port_and_host",
        b"GET /a HTTP/1.1\r\nHost: HOST:PORT@evil.test\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("userinfo", b"GET /a HTTP/1.1\r\nHost: user@HOST\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "list",
        b"GET /a HTTP/1.1\r\nHost: HOST, evil.test\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "two_words",
        b"GET /a HTTP/1.1\r\nHost: HOST evil.test\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("with_path", b"GET /a HTTP/1.1\r\nHost: HOST/x\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "with_fragment",
        b"GET /a HTTP/1.1\r\nHost: HOST#x\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("with_query", b"GET /a HTTP/1.1\r\nHost: HOST?x\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "backslash",
        b"GET /a HTTP/1.1\r\nHost: evil.test\\HOST\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("percent", b"GET /a HTTP/1.1\r\nHost: api%2etest\r\n\r\n", Refused(400, MalformedRequest)),
    Row("url", b"GET /a HTTP/1.1\r\nHost: http://HOST\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "decimal_address",
        b"GET /a HTTP/1.1\r\nHost: 2130706434\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("short_address", b"GET /a HTTP/1.1\r\nHost: 127.2\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "hex_address",
        b"GET /a HTTP/1.1\r\nHost: 0x7f000002\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "own_address",
        b"GET /a HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n",
        Refused(421, AuthorityMismatch),
    ),
    Row("not_ascii", b"GET /a HTTP/1.1\r\nHost: \xe9.test\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "full_width",
        "GET /a HTTP/1.1\r\nHost: \u{ff41}pi.test\r\n\r\n".as_bytes(),
        Refused(400, MalformedRequest),
    ),
];

/// `SCHEME` stands for the connection's.
const TARGETS: &[Row] = &[
    Row("own", b"GET SCHEME://HOST/a HTTP/1.1\r\nH\r\n\r\n", Passed(1)),
    Row(
        "own_with_port",
        b"GET SCHEME://HOST:PORT/a HTTP/1.1\r\nHost: HOST:PORT\r\n\r\n",
        Passed(1),
    ),
    Row("own_upper_case", b"GET SCHEME://API.TEST/a HTTP/1.1\r\nH\r\n\r\n", Passed(1)),
    Row(
        "absolute_and_host_differ",
        b"GET SCHEME://HOST/a HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        Refused(421, AuthorityMismatch),
    ),
    Row(
        "absolute_userinfo",
        b"GET SCHEME://user:pw@HOST/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "absolute_userinfo_tricks",
        b"GET SCHEME://HOST@evil.test/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "absolute_fragment",
        b"GET SCHEME://HOST/a#x HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, AmbiguousPath),
    ),
    Row(
        "absolute_backslash",
        b"GET SCHEME://HOST\\@evil.test/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, AmbiguousPath),
    ),
    Row(
        "absolute_no_host",
        b"GET SCHEME:///a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "absolute_port_0",
        b"GET SCHEME://HOST:0/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "absolute_decimal_address",
        b"GET SCHEME://2130706434/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row(
        "absolute_zone",
        b"GET SCHEME://[fe80::1%25lo]/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("other_scheme", b"GET ftp://HOST/a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row(
        "websocket_scheme",
        b"GET ws://HOST/a HTTP/1.1\r\nH\r\n\r\n",
        Refused(400, MalformedRequest),
    ),
    Row("one_slash", b"GET SCHEME:/HOST/a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("no_slash", b"GET a HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("authority_form", b"GET HOST:PORT HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("asterisk_get", b"GET * HTTP/1.1\r\nH\r\n\r\n", Refused(400, MalformedRequest)),
    Row("query_only", b"GET ?x HTTP/1.1\r\nH\r\n\r\n", Refused(400, AmbiguousPath)),
];

const PATHS_AMBIGUOUS: &[&str] = &[
    "/pub/../secret",
    "/pub/./x",
    "/pub/..%2fsecret",
    "/pub/..%2Fsecret",
    "/pub/%2e%2e/secret",
    "/pub/.%2e/secret",
    "/pub/%2E%2E%2Fsecret",
    "/pub/..%5csecret",
    "/pub\\..\\secret",
    "/pub/%252e%252e/secret",
    "/pub/..%252fsecret",
    "/pub/%25252e%25252e%25252fsecret",
    "/pub/..;/secret",
    "/pub/..;a=b/secret",
    "/pub/..%3b/secret",
    "/pub/..%3f/secret",
    "/pub/..%23/secret",
    "/pub/%c0%ae%c0%ae/secret",
    "/pub/%e0%80%ae%e0%80%ae/secret",
    "/pub/%f0%80%80%ae/x",
    "/pub%c0%afx",
    "/pub/x%00.png",
    "/pub/x%0d%0aX:y",
    "/pub/%7f",
    "/pub/%1b",
    "/pub/%",
    "/pub/%4",
    "/pub/%zz",
    "/pub/%u002e%u002e/secret",
    "/pub/...%20/../x",
    "/pub/..%20/secret",
    "/pub/%2525252525252e",
    "/pub//../secret",
    "//pub/../secret",
];

#[rustfmt::skip]
const PATHS_ELSEWHERE: &[&str] = &[
    "/secret", "/pub", "/pub/", "/PUB/x", "/pUb/x", "/%70ub/x", "/b", "/a/", "/A", "//secret",
    "/a;x", "/a%2f", "/secret;/pub/x", "/*",
];

/// Paths that pass just as they are.
const PATHS_FINE: &[&str] =
    &["/pub/x", "/pub/%20", "/pub/caf%C3%A9", "/pub/a.b..c/...d", "/pub/why%3f", "/pub/x;v=1"];

fn rules() -> Vec<Rule> {
    vec![
        Rule::new("api.test", &[80, 443]).paths(&["/a", "/pub/*"]),
        Rule::new("other.test", &[80, 443]),
    ]
}

/// The bytes of a row for a form. The absolute form names the host in the first line as well.
fn bytes(raw: &[u8], form: Form) -> Vec<u8> {
    let mut bytes = raw.to_vec();
    let scheme = if form.is_tls() { "https" } else { "http" };
    let port = form.port().to_string();
    if form == Form::Absolute
        && let Some(at) = raw
            .iter()
            .position(|byte| *byte == b'/')
            .filter(|at| raw.get(at - 1).is_some_and(|byte| matches!(byte, b' ' | b'\t' | 0x0b)))
    {
        bytes = [&raw[..at], b"http://HOST", &raw[at..]].concat();
    }
    for (from, to) in [
        ("\r\nH\r\n", "\r\nHost: HOST\r\n"),
        (" H\r\n", " Host: HOST\r\n"),
        ("\nH\r\n", "\nHost: HOST\r\n"),
        ("\r\nH\n", "\r\nHost: HOST\n"),
        ("\r\nKEY\r\n", "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
        ("\r\nKEY\r\n", "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
        ("HOST", "api.test"),
        ("PORT", &port),
        ("SCHEME", scheme),
    ] {
        bytes = replace(&bytes, from.as_bytes(), to.as_bytes());
    }
    bytes
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    [&out[..], rest].concat()
}

/// What is wrong with how a row came out, if anything is.
fn check(fronts: &Fronts, form: Form, name: &str, bytes: &[u8], is: Is) -> Option<String> {
    fronts.forget();
    let came = fronts.send(form, bytes);
    let seen: usize = fronts.reached().iter().map(|(_, bytes)| bytes.len()).sum();
    let undecided = fronts.undecided();
    let wrong = match is {
        _ if undecided.is_some() => undecided.unwrap_or_default(),
        Refused(status, _) if came.statuses != [status] => format!("not refused with {status}"),
        Refused(_, reason) if !came.text.contains(reason.as_str()) => format!("not {reason:?}"),
        Refused(_, reason) if !fronts.refused_with(reason) => "not recorded".to_owned(),
        Refused(..) if seen != 0 => "bytes reached the server".to_owned(),
        Refused(400, _) if !came.closed => "the connection goes on".to_owned(),
        Cut if !matches!(came.statuses[..], [] | [400]) => "answered".to_owned(),
        Cut if !fronts.refused_with(MalformedRequest) => "not recorded".to_owned(),
        Cut if !came.closed => "the connection goes on".to_owned(),
        Passed(count) if came.statuses != vec![200; count] => format!("not {count} answers"),
        Passed(_) if seen == 0 => "nothing reached the server".to_owned(),
        Answered(statuses, _) if came.statuses != statuses => format!("not {statuses:?}"),
        Answered(_, Some(reason)) if !fronts.refused_with(reason) => "not recorded".to_owned(),
        _ => return None,
    };
    let trail = fronts.world.trail.lines();
    Some(format!("{name} through {form:?}: {wrong}\n{}\n{trail:#?}\n", came.text))
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs rows through all forms; a passing one is told that it is the last of its connection.
fn run(fronts: &Fronts, rows: &[Row], shape: impl Fn(&[u8]) -> Vec<u8>) {
    let mut wrong = Vec::new();
    for form in FORMS {
        for Row(name, raw, is) in rows {
            let mut bytes = bytes(&shape(raw), form);
            // Else it would be waited for more.
            let open = matches!(is, Passed(_) | Refused(403 | 421, _));
            if open && !bytes.windows(10).any(|part| part == b"Connection") {
                let line = bytes.windows(2).position(|part| part == b"\r\n").unwrap_or(0);
                bytes.splice(line..line, *b"\r\nConnection: close");
            }
            wrong.extend(check(fronts, form, name, &bytes, *is));
        }
    }
    assert_none(&wrong);
}

#[test]
fn framing() {
    if isolated() {
        let fronts = Fronts::new(rules());
        run(&fronts, FRAMING, <[u8]>::to_vec);
    }
}

#[test]
fn lines_and_versions() {
    if isolated() {
        let fronts = Fronts::new(rules());
        run(&fronts, LINES, <[u8]>::to_vec);
    }
}

#[test]
fn chunks_and_trailers() {
    if isolated() {
        let head = b"POST /a HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n";
        let smuggled = b"GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n";
        let fronts = Fronts::new(rules());
        run(&fronts, CHUNKS, |body| [&head[..], body, smuggled].concat());
        // Sound bodies beside them.
        let sound = [
            Row("leading_zeros", b"0003\r\nabc\r\n00\r\n\r\n", Passed(1)),
            Row("upper_case", b"A\r\n0123456789\r\n0\r\n\r\n", Passed(1)),
            Row("trailer", b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n", Passed(1)),
            Row(
                "request_inside",
                b"24\r\nGET /secret HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n",
                Passed(1),
            ),
        ];
        run(&fronts, &sound, |body| [&head[..], body].concat());
    }
}

#[test]
fn upgrades_and_nested_tunnels() {
    if isolated() {
        let of_absolute = |row: &&Row| !row.0.starts_with("nested");
        let (rest, nested): (Vec<&Row>, Vec<&Row>) = UPGRADES.iter().partition(of_absolute);
        let copy =
            |rows: Vec<&Row>| rows.iter().map(|Row(a, b, c)| Row(a, b, *c)).collect::<Vec<_>>();
        // In the absolute form CONNECT is not nested, and the second request names no host.
        let rest: Vec<Row> = copy(rest);
        let fronts = Fronts::new(rules());
        let mut wrong = Vec::new();
        for form in FORMS {
            for Row(name, raw, is) in rest.iter().chain(&copy(nested.clone())) {
                if form == Form::Absolute && (name.contains("behind") || name.starts_with("nested"))
                {
                    continue;
                }
                let closing = matches!(is, Passed(_));
                let mut bytes = bytes(raw, form);
                if closing {
                    bytes = replace(&bytes, b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n");
                }
                wrong.extend(check(&fronts, form, name, &bytes, *is));
            }
        }
        let behind = b"GET http://api.test/a HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
                       \r\nGET http://api.test/secret HTTP/1.1\r\n\
                       Host: api.test\r\n\r\nGET /a HTTP/1.1\r\nHost: api.test\r\n\r\n";
        let is = Answered(&[200, 403, 400], Some(PathNotListed));
        wrong.extend(check(&fronts, Form::Absolute, "absolute_behind_upgrade", behind, is));
        assert_none(&wrong);
    }
}

#[test]
fn http_2_without_tls() {
    if isolated() {
        let fronts = Fronts::new(rules());
        for form in FORMS {
            fronts.forget();
            let came = fronts.send(form, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
            assert!(
                matches!(came.statuses[..], [] | [400]) && came.closed,
                "{form:?} {}",
                came.text
            );
            assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()), "{form:?}");
            let recorded = fronts.refused_with(UnsupportedProtocol);
            assert!(recorded || fronts.refused_with(MalformedRequest), "{form:?}");
        }
    }
}

#[test]
fn host_spellings() {
    if isolated() {
        let fronts = Fronts::new(rules());
        run(&fronts, HOSTS, <[u8]>::to_vec);
    }
}

#[test]
fn request_targets() {
    if isolated() {
        let fronts = Fronts::new(rules());
        run(&fronts, TARGETS, <[u8]>::to_vec);
        let mut wrong = Vec::new();
        for form in FORMS {
            // On a connection that stands for one host, another is a mismatch; to the proxy it
            // is a host like any other.
            let (scheme, other) = match form.is_tls() {
                true => ("https", "http"),
                false => ("http", "https"),
            };
            let foreign = format!("GET {scheme}://evil.test/a HTTP/1.1\r\nHost: evil.test\r\n\r\n");
            let is = match form {
                Form::Absolute => Refused(403, HostNotListed),
                _ => Refused(421, AuthorityMismatch),
            };
            wrong.extend(check(&fronts, form, "foreign_absolute", foreign.as_bytes(), is));
            let foreign = format!("GET {scheme}://evil.test/a HTTP/1.1\r\nHost: api.test\r\n\r\n");
            let is = match form {
                Form::Absolute => Refused(403, HostNotListed),
                _ => Refused(421, AuthorityMismatch),
            };
            wrong.extend(check(&fronts, form, "foreign_absolute_own_host", foreign.as_bytes(), is));
            let odd = format!("GET {other}://api.test/a HTTP/1.1\r\nHost: api.test\r\n\r\n");
            let is = Refused(400, MalformedRequest);
            wrong.extend(check(&fronts, form, "other_scheme", odd.as_bytes(), is));
            if form == Form::Absolute {
                let origin = b"GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n";
                wrong.extend(check(&fronts, form, "origin_form_to_the_proxy", origin, is));
            }
        }
        assert_none(&wrong);
    }
}

#[test]
fn paths() {
    if isolated() {
        let fronts = Fronts::new(rules());
        let mut wrong = Vec::new();
        for form in FORMS {
            let request = |path: &str| {
                let text = format!("GET {path} HTTP/1.1\r\nH\r\nConnection: close\r\n\r\n");
                bytes(text.as_bytes(), form)
            };
            for path in PATHS_AMBIGUOUS {
                wrong.extend(check(
                    &fronts,
                    form,
                    path,
                    &request(path),
                    Refused(400, AmbiguousPath),
                ));
            }
            for raw in [&b"/pub/\xe9"[..], b"/pub/\x01", b"/pub/<", b"/pub/`", b"/pub/a\tb"] {
                let whole = [b"GET ", raw, b" HTTP/1.1\r\nH\r\n\r\n"].concat();
                fronts.forget();
                let came = fronts.send(form, &bytes(&whole, form));
                assert_eq!(came.statuses, [400], "{} {}", raw.escape_ascii(), came.text);
                assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()));
            }
            for path in PATHS_ELSEWHERE {
                fronts.forget();
                let came = fronts.send(form, &request(path));
                let known =
                    fronts.refused_with(PathNotListed) || fronts.refused_with(AmbiguousPath);
                assert!(matches!(came.statuses[..], [400 | 403]) && known, "{path}: {}", came.text);
                assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()), "{path}");
            }
            for path in PATHS_FINE {
                wrong.extend(check(&fronts, form, path, &request(path), Passed(1)));
                let sent = fronts.reached().into_iter().find(|(_, bytes)| !bytes.is_empty());
                let sent = String::from_utf8(sent.unwrap().1).unwrap();
                assert!(sent.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{sent}");
            }
        }
        assert_none(&wrong);
    }
}

#[test]
fn early_bytes_before_the_tunnels_answer() {
    if isolated() {
        let fronts = Fronts::new(rules());
        let mut stream = common::client::connect(fronts.proxy);
        let came = fronts.finish(
            &mut stream,
            b"CONNECT api.test:80 HTTP/1.1\r\nHost: api.test:80\r\n\r\nGET /a HTTP/1.1\r\n",
        );
        assert_eq!(came.statuses, [400], "{}", came.text);
        assert!(came.closed && fronts.refused_with(MalformedRequest));
        let mut stream = common::client::connect(fronts.proxy);
        let came = fronts.finish(&mut stream, b"\x05\x01\x00\x05\x01\x00\x03\x08api.test\0\x50");
        assert!(came.closed && came.statuses.is_empty());
        assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()));
    }
}

/// On the web's ports only TLS and HTTP are spoken, whatever way the bytes come.
#[test]
fn bytes_that_are_neither_tls_nor_http() {
    if isolated() {
        let fronts = Fronts::new(vec![Rule::new("api.test", &[80, 443])]);
        let raw = |form| match form {
            Form::Transparent { tls } => {
                let port = if tls { 443 } else { 80 };
                fronts.session.connect(format!("198.18.0.2:{port}").parse().unwrap())
            }
            Form::Connect { tls } => {
                let port = if tls { 443 } else { 80 };
                common::client::tunnel(fronts.proxy, &format!("api.test:{port}"))
            }
            Form::Socks { tls } => {
                common::front::socks(fronts.proxy, "api.test", if tls { 443 } else { 80 })
            }
            Form::Absolute => common::client::connect(fronts.proxy),
        };
        for form in FORMS {
            for junk in [
                &b"SSH-2.0-x\r\n"[..],
                b"\x15\x03\x01\0\x02\x01\x5aGET /a HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\0\x05hello",
                b"\x80\x2e\x01\x03\x01\0\x15",
                b"\0\0\0\x08\x04\xd2\x16\x2f",
                b"*1\r\n$4\r\nPING\r\n",
            ] {
                fronts.forget();
                let came = fronts.finish(&mut raw(form), junk);
                let what = format!("{form:?} {}: {}", junk.escape_ascii(), came.text);
                assert!(came.closed && !came.text.contains("200 OK"), "{what}");
                fronts.world.trail.wait(&what, |record| {
                    matches!(record.reason, UnsupportedProtocol | MalformedRequest)
                });
                assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()), "{what}");
            }
            // A server name that is not the connection's.
            if form.is_tls() {
                fronts.forget();
                let refused = common::client::tls(raw(form), "other.test", fronts.world.ca());
                assert!(refused.is_err(), "{form:?}");
                fronts.world.trail.wait("the name", |record| record.reason == SniMismatch);
            }
        }
    }
}

#[test]
fn redirects_are_decided_on_anew() {
    let world = common::world::World::new();
    world.names("127.0.0.1 api.test evil.test\n");
    const MOVED: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: http://evil.test/\r\ncontent-length: 0\r\n\r\n";
    let (origin, log) = common::origin::lenient("127.0.0.1:0", None, MOVED);
    let port = origin.port();
    world.rules(vec![Rule::new("api.test", &[port])]);
    let (_running, proxy) = world.explicit();
    let mut stream = common::client::connect(proxy);
    write!(stream, "GET http://api.test:{port}/ HTTP/1.1\r\nHost: api.test:{port}\r\n\r\n")
        .unwrap();
    let head = common::client::read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 302") && head.contains("http://evil.test/"), "{head}");
    // The proxy does not follow; who does asks for another host.
    let seen = log.text();
    assert!(!seen.contains("evil"), "{seen}");
    write!(stream, "GET http://evil.test:{port}/ HTTP/1.1\r\nHost: evil.test:{port}\r\n\r\n")
        .unwrap();
    let head = common::client::read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 403") && head.contains("host_not_listed"), "{head}");
    assert_eq!(log.text(), seen);
}

/// Pieces of requests in any order: whatever passes was decided on, and nothing else arrives.
#[test]
fn no_mixture_of_pieces_smuggles_a_request() {
    if !isolated() {
        return;
    }
    let fronts = Fronts::new(rules());
    let piece = prop::sample::select(vec![
        "GET /a HTTP/1.1\r\n",
        "POST /a HTTP/1.1\r\n",
        "GET /secret HTTP/1.1\r\n",
        "POST /pub/x HTTP/1.0\r\n",
        "Host: api.test\r\n",
        "Host: evil.test\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: x\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        "Expect: 100-continue\r\n",
        "Connection: content-length\r\n",
        "TE: trailers\r\n",
        "Trailer: X\r\n",
        "X: a\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        "5\r\n",
        "hello",
        "\r\n0\r\n\r\n",
        "0\r\n",
        "3;x\r\nabc",
        "GET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "X-Sum: 1\r\n\r\n",
    ]);
    let line = prop::sample::select(vec![
        "POST /a HTTP/1.1\r\n",
        "GET /a HTTP/1.1\r\n",
        "POST /pub/x HTTP/1.0\r\n",
    ]);
    let field = prop::sample::select(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        "Expect: 100-continue\r\n",
        "X: a\r\n",
        "Connection: content-length, transfer-encoding\r\n",
        "Trailer: X-Sum\r\n",
        "TE: trailers\r\n",
    ]);
    let head = (line, prop::collection::vec(field, 0..3))
        .prop_map(|(line, fields)| format!("{line}Host: api.test\r\n{}\r\n", fields.concat()));
    let stream = (prop::option::weighted(0.8, head), prop::collection::vec(piece, 0..10));
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    TestRunner::new(config)
        .run(&stream, |(first, rest)| {
            let bytes = [first.unwrap_or_default(), rest.concat()].concat();
            let mut stream = fronts.open(Form::Connect { tls: false });
            let _ = stream.write_all(bytes.as_bytes());
            stream.patience(std::time::Duration::from_millis(40));
            let mut buffer = [0u8; 4096];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
            drop(stream);
            // Nothing is forgotten in between: bytes of one may arrive during the next.
            fronts.assert_decided(&bytes);
            Ok(())
        })
        .unwrap();
    let permitted = fronts.world.trail.lines();
    let permitted = permitted
        .iter()
        .filter(|line| line.starts_with("http_request") && line.contains("allowed"));
    assert!(permitted.count() > 20, "some of them pass");
}
