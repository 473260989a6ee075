/* resolve_aarch64.S: the exported dlsym and dlvsym; see resolve_x86_64.S. glibc's first version on
 * this architecture is 2.17. The caller's address is the link register.
 */
        .text

        .macro  save
        stp     x29, x30, [sp, #-48]!
        .cfi_adjust_cfa_offset 48
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        stp     x0, x1, [sp, #16]
        str     x2, [sp, #32]
        .endm

        .macro  restore
        ldp     x0, x1, [sp, #16]
        ldr     x2, [sp, #32]
        ldp     x29, x30, [sp], #48
        .cfi_adjust_cfa_offset -48
        .cfi_restore x29
        .cfi_restore x30
        .endm

        .macro  stub name, real, handler, caller_reg
        .type   \name, %function
\name:
        .cfi_startproc
        hint    #34                     /* bti c */
        cmn     x0, #1                  /* RTLD_NEXT */
        b.eq    1f
        cbz     x1, 1f
        ldrb    w9, [x1]
        cmp     w9, #'c'
        b.eq    4f
        cmp     w9, #'n'
        b.eq    5f
1:      adrp    x9, \real
        ldr     x9, [x9, :lo12:\real]
        cbz     x9, 2f
        br      x9

2:      save
        bl      resolve_init
        restore
        b       1b

4:      ldrb    w9, [x1, #1]
        cmp     w9, #'u'
        b.eq    3f
        b       1b
5:      ldrb    w9, [x1, #1]
        cmp     w9, #'v'
        b.ne    1b

3:      save
        mov     x0, x1
        bl      resolve_is_ours
        mov     w9, w0
        restore
        cbz     w9, 1b
        mov     \caller_reg, x30
        b       \handler
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .globl  dlsym_first, dlsym_libc, dlvsym_first, dlvsym_libc
        stub    dlsym_first, resolve_next_dlsym, resolve_dlsym, x2
        stub    dlsym_libc, resolve_next_dlsym, resolve_dlsym, x2
        stub    dlvsym_first, resolve_next_dlvsym, resolve_dlvsym, x3
        stub    dlvsym_libc, resolve_next_dlvsym, resolve_dlvsym, x3

        .symver dlsym_first, dlsym@GLIBC_2.17
        .symver dlsym_libc, dlsym@@GLIBC_2.34
        .symver dlvsym_first, dlvsym@GLIBC_2.17
        .symver dlvsym_libc, dlvsym@@GLIBC_2.34

        .section .note.GNU-stack, "", %progbits
