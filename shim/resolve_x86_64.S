/* resolve_x86_64.S: the exported dlsym and dlvsym, each under glibc's two versions.
 *
 * A name that begins neither with "cu" nor with "nv", RTLD_NEXT, and a name that is not in hooks.def go on to the
 * C library by a jump with the stack untouched, so that it sees the real caller. One of our names
 * goes to resolve.c with the caller's address as one more argument, by a jump as well.
 */
        .text

        .macro  stub name, real, handler, caller_reg
        .type   \name, @function
\name:
        .cfi_startproc
        endbr64
        cmpq    $-1, %rdi               /* RTLD_NEXT */
        je      1f
        testq   %rsi, %rsi
        je      1f
        cmpb    $'c', (%rsi)
        je      4f
        cmpb    $'n', (%rsi)
        je      5f
1:      movq    \real(%rip), %rax
        testq   %rax, %rax
        je      2f
        jmp     *%rax

2:      pushq   %rdi                    /* the first call ever: find the C library's own */
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        call    resolve_init
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     1b

4:      cmpb    $'u', 1(%rsi)
        je      3f
        jmp     1b
5:      cmpb    $'v', 1(%rsi)
        jne     1b

3:      pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    %rsi, %rdi
        call    resolve_is_ours
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testl   %eax, %eax
        je      1b
        movq    (%rsp), \caller_reg
        jmp     \handler
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .globl  dlsym_first, dlsym_libc, dlvsym_first, dlvsym_libc
        stub    dlsym_first, resolve_next_dlsym, resolve_dlsym, %rdx
        stub    dlsym_libc, resolve_next_dlsym, resolve_dlsym, %rdx
        stub    dlvsym_first, resolve_next_dlvsym, resolve_dlvsym, %rcx
        stub    dlvsym_libc, resolve_next_dlvsym, resolve_dlvsym, %rcx

        .symver dlsym_first, dlsym@GLIBC_2.2.5
        .symver dlsym_libc, dlsym@@GLIBC_2.34
        .symver dlvsym_first, dlvsym@GLIBC_2.2.5
        .symver dlvsym_libc, dlvsym@@GLIBC_2.34

        .section .note.GNU-stack, "", @progbits
