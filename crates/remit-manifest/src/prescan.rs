//! One flat pass over the text before any recursive reader sees it.

/// Deepest nesting of objects and arrays.
const DEEPEST: usize = 64;

/// What the pass refuses, with the byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nested beyond 64 levels.
    Depth(usize),
    /// A raw control character inside a string (RFC 8259, section 7).
    Control(usize),
}

/// Refuses deep nesting and raw control characters in strings. Knows just enough of JSON with
/// comments to tell strings and comments from structure; everything else is the parser's.
pub(crate) fn prescan(text: &str) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    let mut state = State::Plain;
    let mut before = 0_u8;
    for (at, byte) in text.bytes().enumerate() {
        let mut remember = byte;
        state = match (state, byte) {
            (State::Plain, b'"') => State::String,
            (State::Plain, b'/') if before == b'/' => State::Line,
            (State::Plain, b'*') if before == b'/' => {
                // `/*/` is not a whole comment.
                remember = 0;
                State::Block
            }
            (State::Plain, b'{' | b'[') => {
                depth = depth.saturating_add(1);
                if depth > DEEPEST {
                    return Err(Refusal::Depth(at));
                }
                State::Plain
            }
            (State::Plain, b'}' | b']') => {
                depth = depth.saturating_sub(1);
                State::Plain
            }
            (State::String, 0..0x20) => return Err(Refusal::Control(at)),
            (State::String, b'\\') => State::Escape,
            (State::String, b'"') | (State::Line, b'\n') => State::Plain,
            (State::Escape, 0..0x20) => return Err(Refusal::Control(at)),
            (State::Escape, _) => State::String,
            (State::Block, b'/') if before == b'*' => {
                remember = 0;
                State::Plain
            }
            (same, _) => same,
        };
        before = remember;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum State {
    Plain,
    String,
    Escape,
    Line,
    Block,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_structure_only() {
        assert_eq!(prescan(&"[".repeat(64)), Ok(()));
        assert_eq!(prescan(&"[".repeat(1_000_000)), Err(Refusal::Depth(64)));
        assert_eq!(prescan(&format!("\"{}\"", "[".repeat(100))), Ok(()));
        assert_eq!(prescan(&format!("// {}\n", "[".repeat(100))), Ok(()));
        assert_eq!(prescan(&format!("/*/ {} */", "[".repeat(100))), Ok(()));
        assert_eq!(prescan("\"a\nb\""), Err(Refusal::Control(2)));
        assert_eq!(prescan("\"\\\"\n"), Err(Refusal::Control(3)));
    }
}
