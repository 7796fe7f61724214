//! x86-64, System V ABI: arguments in rdi and rsi, result in rax; rcx, rdx, rsi, rdi and r8 to r11 are the callee's to use.

use std::arch::global_asm;

use nix::libc::user_regs_struct;

use super::{DATA_BYTES, Function, Interrupted};

/// `e_machine` of the vDSO of programs that this code suits (EM_X86_64): one of 32 bits has another.
pub const MACHINE: u16 = 62;

/// Bytes of the jump that functions begin with.
pub const ENTRY_BYTES: usize = 5;

/// Registers of a stopped thread.
pub type Registers = user_regs_struct;

// The payload: 160 bytes of data (patch.rs has their meaning), then the code. It makes no calls: its addresses come to lie on a
// stack only when a signal interrupts it, which is how stop.rs finds threads that will come back to it.
global_asm!(
    r#"
    .macro DURESS_SHIFT           # rax: true nanoseconds of clock rdi -> rax: what it shows
        lea r9, [rip + duress_vdso_payload]
        mov r8, rax
        mov rcx, rax
        sub rcx, [r9 + 56 + rdi*8] # since the anchor
        mov rax, rcx
        imul qword ptr [r9 + 40]  # the rate, with 32 binary places
        shrd rax, rdx, 32
        add r8, rax
        mov r10, [r9 + 48]        # the period
        test r10, r10
        jz 71f
        mov rax, rcx
        cqo
        idiv r10
        test al, 1
        jnz 72f
    71: add r8, [r9 + 32]         # the offset
    72: mov rax, r8
    .endm
    .macro DURESS_SPLIT           # rax: nanoseconds -> rax: seconds, rdx: the rest, never negative
        mov ecx, 1000000000
        cqo
        idiv rcx
        test rdx, rdx
        jns 73f
        add rdx, rcx
        dec rax
    73:
    .endm

    .pushsection .rodata.duress_vdso_payload, "a"
    .balign 64
    .globl duress_vdso_payload
    .hidden duress_vdso_payload
duress_vdso_payload:
    .fill 160, 1, 0

    .globl duress_vdso_clock_gettime
    .hidden duress_vdso_clock_gettime
duress_vdso_clock_gettime:        # int clock_gettime(edi clock, rsi timespec)
    mov eax, 228
    syscall
    test eax, eax
    jnz 9f
    cmp edi, 11
    ja 9f
    mov edi, edi
    mov rdx, [rip + duress_vdso_payload + 24]
    bt rdx, rdi
    jnc 9f
    imul rax, [rsi], 1000000000
    add rax, [rsi + 8]
    DURESS_SHIFT
    DURESS_SPLIT
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
9:  ret

    .balign 16
    .globl duress_vdso_gettimeofday
    .hidden duress_vdso_gettimeofday
duress_vdso_gettimeofday:         # int gettimeofday(rdi timeval, rsi timezone)
    test rsi, rsi
    jz 1f
    push rdi
    xor edi, edi
    mov eax, 96
    syscall
    pop rdi
    test eax, eax
    jnz 9f
1:  xor eax, eax
    test rdi, rdi
    jz 9f
    push rdi
    sub rsp, 16
    xor edi, edi
    mov rsi, rsp
    mov eax, 228
    syscall
    imul rax, [rsp], 1000000000
    add rax, [rsp + 8]
    test byte ptr [rip + duress_vdso_payload + 24], 1
    jz 2f
    DURESS_SHIFT
2:  DURESS_SPLIT
    add rsp, 16
    pop rdi
    mov [rdi], rax
    mov rax, rdx
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov [rdi + 8], rax
    xor eax, eax
9:  ret

    .balign 16
    .globl duress_vdso_time
    .hidden duress_vdso_time
duress_vdso_time:                 # time_t time(rdi time_t)
    push rdi
    sub rsp, 16
    mov edi, 5
    mov rsi, rsp
    mov eax, 228
    syscall
    imul rax, [rsp], 1000000000
    add rax, [rsp + 8]
    test byte ptr [rip + duress_vdso_payload + 24], 32
    jz 2f
    DURESS_SHIFT
2:  DURESS_SPLIT
    add rsp, 16
    pop rdi
    test rdi, rdi
    jz 9f
    mov [rdi], rax
9:  ret
    .balign 8
    .globl duress_vdso_payload_end
    .hidden duress_vdso_payload_end
duress_vdso_payload_end:
    .popsection
    .purgem DURESS_SHIFT
    .purgem DURESS_SPLIT
    "#
);

unsafe extern "C" {
    static duress_vdso_payload: u8;
    static duress_vdso_clock_gettime: u8;
    static duress_vdso_gettimeofday: u8;
    static duress_vdso_time: u8;
    static duress_vdso_payload_end: u8;
}

fn offset(of: *const u8) -> usize {
    of as usize - (&raw const duress_vdso_payload) as usize
}

/// What follows the data.
pub fn code() -> &'static [u8] {
    let length = offset(&raw const duress_vdso_payload_end) - DATA_BYTES;
    let start = (&raw const duress_vdso_payload).wrapping_add(DATA_BYTES);
    // SAFETY: the assembler put these bytes into one section between the two symbols, where nobody writes.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// The functions that are replaced.
pub fn functions() -> Vec<Function> {
    let function = |name, of| Function {
        name,
        offset: offset(of),
    };
    vec![
        function("__vdso_clock_gettime", &raw const duress_vdso_clock_gettime),
        function("__vdso_gettimeofday", &raw const duress_vdso_gettimeofday),
        function("__vdso_time", &raw const duress_vdso_time),
    ]
}

/// A jump at offset `from` to offset `to`.
pub fn entry(from: usize, to: usize) -> [u8; ENTRY_BYTES] {
    let next = from + ENTRY_BYTES;
    let distance = (to as i64 - next as i64) as i32;
    let mut jump = [0xe9; ENTRY_BYTES];
    jump[1..].copy_from_slice(&distance.to_le_bytes());
    jump
}

/// Registers with which a stopped thread calls `function(clock, timespec)`, to return to where `stack`, a multiple of 16,
/// less 8 says.
pub fn call(before: &Registers, function: u64, clock: usize, timespec: u64, stack: u64) -> Registers {
    let mut registers = *before;
    registers.rip = function;
    registers.rdi = clock as u64;
    registers.rsi = timespec;
    registers.rsp = stack - 8;
    // No system call that the kernel would begin again.
    registers.orig_rax = u64::MAX;
    registers.eflags &= !(1 << 10);
    registers
}

/// Whether these are the last bytes before where a thread is right after a system call.
pub fn is_after_system_call(before: [u8; 2]) -> bool {
    before == [0x0f, 0x05]
}

/// What a signal interrupted, if `words` begin with the program counter as the kernel saves it for a handler (struct
/// rt_sigframe): rip, eflags, then cs with the number of user space's 64-bit segment; behind all registers the signals that were
/// blocked, and the number of this one.
pub fn interrupted(words: &[u64]) -> Option<Interrupted> {
    const USER_CODE: u64 = 0x33;
    const MASK: usize = 16;
    let [_, _, segments, ..] = words else { return None };
    let (mask, signal) = (*words.get(MASK)?, *words.get(MASK + 1)? & 0xffff_ffff);
    (segments & 0xffff == USER_CODE).then_some(Interrupted { mask, signal })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::libc::{self, REG_RIP, c_int, c_void, siginfo_t, ucontext_t};
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

    use super::*;

    static SEEN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

    extern "C" fn look(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel passes the context that it saved, with the signal's number right behind it.
        let words = unsafe {
            let registers = &raw const (*context.cast::<ucontext_t>()).uc_mcontext.gregs;
            std::slice::from_raw_parts(registers.cast::<u64>().add(REG_RIP as usize), 18)
        };
        if let Some(seen) = interrupted(words) {
            SEEN[0].store(seen.signal, Ordering::Relaxed);
            SEEN[1].store(seen.mask, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_the_kernel_saves_for_a_handler_is_read_as_it_is_written() {
        let mut other = SigSet::empty();
        other.add(Signal::SIGUSR2);
        other.thread_block().expect("a mask");
        let action = SigAction::new(SigHandler::SigAction(look), SaFlags::SA_SIGINFO, SigSet::empty());
        // SAFETY: the handler only reads what it is given.
        unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");
        raise(Signal::SIGUSR1).expect("a signal");
        let seen = Interrupted {
            signal: SEEN[0].load(Ordering::Relaxed),
            mask: SEEN[1].load(Ordering::Relaxed),
        };
        let bit = |signal: c_int| 1_u64 << (signal - 1);
        let (own, before) = (bit(libc::SIGUSR1), bit(libc::SIGUSR2));
        assert_eq!(
            seen,
            Interrupted {
                signal: libc::SIGUSR1 as u64,
                mask: before
            }
        );
        // In the handler, in one that blocks everything, after it, and in a thread that blocks nothing.
        assert!(seen.may_go_on(own | before) && seen.may_go_on(u64::MAX));
        assert!(!seen.may_go_on(before) && !seen.may_go_on(own) && !seen.may_go_on(0));
    }
}
