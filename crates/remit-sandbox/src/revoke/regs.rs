//! Registers of the two architectures: how a system call is made in a stopped thread.

/// `NT_PRSTATUS`.
pub(super) type Raw = libc::user_regs_struct;

/// The instruction that makes a system call.
#[cfg(target_arch = "x86_64")]
pub(super) const CALL: &[u8] = &[0x0f, 0x05];
/// The instruction that makes a system call: `svc #0`.
#[cfg(target_arch = "aarch64")]
pub(super) const CALL: &[u8] = &[0x01, 0x00, 0x00, 0xd4];

/// Alignment of instructions.
#[cfg(target_arch = "x86_64")]
pub(super) const ALIGN: u64 = 1;
/// Alignment of instructions.
#[cfg(target_arch = "aarch64")]
pub(super) const ALIGN: u64 = 4;

/// Registers that make a call of `number` by the instruction at `at`.
#[cfg(target_arch = "x86_64")]
pub(super) fn calling(from: &Raw, at: u64, number: i64, args: [u64; 6]) -> Raw {
    // Of an interrupted call the kernel must not restart anything with these registers.
    const NO_CALL: u64 = u64::MAX;
    // Trap and alignment-check flags would stop at every turn.
    const FLAGS: u64 = 0x4_0100;
    // 64-bit user code; a thread may have gone to a 32-bit segment.
    const CODE: u64 = 0x33;
    const STACK: u64 = 0x2b;
    let mut to = *from;
    to.rip = at;
    to.rax = number.cast_unsigned();
    to.orig_rax = NO_CALL;
    [to.rdi, to.rsi, to.rdx, to.r10, to.r8, to.r9] = args;
    to.eflags &= !FLAGS;
    to.cs = CODE;
    to.ss = STACK;
    to
}

/// Registers that make a call of `number` by the instruction at `at`.
#[cfg(target_arch = "aarch64")]
pub(super) fn calling(from: &Raw, at: u64, number: i64, args: [u64; 6]) -> Raw {
    // Branch type (a landing pad would be asked for) and single step.
    const STATE: u64 = 0xc00 | 1 << 21;
    let mut to = *from;
    to.pc = at;
    let [a, b, c, d, e, f, _, _, nr, ..] = &mut to.regs;
    [*a, *b, *c, *d, *e, *f] = args;
    *nr = number.cast_unsigned();
    to.pstate &= !STATE;
    to
}

/// What the call returned.
#[cfg(target_arch = "x86_64")]
pub(super) const fn result(raw: &Raw) -> i64 {
    raw.rax.cast_signed()
}

/// What the call returned.
#[cfg(target_arch = "aarch64")]
pub(super) const fn result(raw: &Raw) -> i64 {
    let [first, ..] = raw.regs;
    first.cast_signed()
}

/// Where the instruction of the call that the thread was stopped in should be.
#[cfg(target_arch = "x86_64")]
pub(super) const fn own_call(raw: &Raw) -> Option<u64> {
    if in_call(raw) { raw.rip.checked_sub(2) } else { None }
}

/// Where the instruction of the call that the thread was stopped in should be. The kernel has
/// already gone back to it, or not, and does not tell.
#[cfg(target_arch = "aarch64")]
pub(super) const fn own_call(_: &Raw) -> Option<u64> {
    None
}

/// Whether the thread was stopped in a system call.
#[cfg(target_arch = "x86_64")]
pub(super) const fn in_call(raw: &Raw) -> bool {
    raw.orig_rax.cast_signed() >= 0
}

/// Whether the thread was stopped in a system call: not known.
#[cfg(target_arch = "aarch64")]
pub(super) const fn in_call(_: &Raw) -> bool {
    false
}

/// A call that the stop itself has interrupted and that the kernel does not restart (`epoll_wait`
/// and its like return `EINTR`, signal(7)): the same registers before the call.
#[cfg(target_arch = "x86_64")]
pub(super) fn before_interrupted(raw: &Raw) -> Option<Raw> {
    let interrupted = in_call(raw) && result(raw) == -i64::from(libc::EINTR);
    let mut before = *raw;
    before.rip = raw.rip.checked_sub(2)?;
    before.rax = raw.orig_rax;
    before.orig_rax = u64::MAX;
    interrupted.then_some(before)
}

/// A call that the stop itself has interrupted: the kernel does not tell.
#[cfg(target_arch = "aarch64")]
pub(super) fn before_interrupted(_: &Raw) -> Option<Raw> {
    None
}
