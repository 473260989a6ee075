/* kernels.h: the kernels of the hosts, as PTX text that a real driver compiles and in which the
 * simulated driver finds the names of its built-in ones.
 *
 *   fill(u32 *p, u32 value, u64 count)              copy(u32 *dst, const u32 *src, u64 count)
 *   add(u32 *p, u32 value, u64 count)               sum(const u32 *p, u64 count, u64 *out)
 *   check(const u32 *p, u32 value, u64 count, u64 *mismatches)      spin(u64 microseconds)
 *
 * Counts are words. All but spin are grid-stride loops, so that any grid does; sum and check add
 * to a result that the caller has set to zero.
 */
#ifndef HYBRIDMEM_TESTS_KERNELS_H
#define HYBRIDMEM_TESTS_KERNELS_H

/* %rd0 index, %rd1 stride, %rd2 count; the body finds its word's byte offset in %rd3. */
#define PTX_BEGIN                                                                                  \
    "{\n"                                                                                          \
    ".reg .pred %p<2>;\n"                                                                          \
    ".reg .b32 %r<8>;\n"                                                                           \
    ".reg .b64 %rd<12>;\n"                                                                         \
    "mov.u32 %r0, %ctaid.x;\n"                                                                     \
    "mov.u32 %r1, %ntid.x;\n"                                                                      \
    "mov.u32 %r2, %tid.x;\n"                                                                       \
    "mov.u32 %r3, %nctaid.x;\n"                                                                    \
    "mul.wide.u32 %rd0, %r0, %r1;\n"                                                               \
    "cvt.u64.u32 %rd1, %r2;\n"                                                                     \
    "add.u64 %rd0, %rd0, %rd1;\n"                                                                  \
    "mul.wide.u32 %rd1, %r1, %r3;\n"                                                               \
    "ld.param.u64 %rd2, [count];\n"
#define PTX_LOOP                                                                                   \
    "LOOP:\n"                                                                                      \
    "setp.ge.u64 %p0, %rd0, %rd2;\n"                                                               \
    "@%p0 bra DONE;\n"                                                                             \
    "shl.b64 %rd3, %rd0, 2;\n"
#define PTX_NEXT                                                                                   \
    "add.u64 %rd0, %rd0, %rd1;\n"                                                                  \
    "bra LOOP;\n"                                                                                  \
    "DONE:\n"
#define PTX_END                                                                                    \
    "ret;\n"                                                                                       \
    "}\n"
#define PTX_GLOBAL(reg, param)                                                                     \
    "ld.param.u64 " reg ", [" param "];\n"                                                         \
    "cvta.to.global.u64 " reg ", " reg ";\n"

static const char host_ptx[] =
    ".version 6.4\n"
    ".target sm_50\n"
    ".address_size 64\n"

    ".visible .entry fill(.param .u64 p, .param .u32 value, .param .u64 count)\n" PTX_BEGIN
        PTX_GLOBAL("%rd4", "p") "ld.param.u32 %r4, [value];\n" PTX_LOOP
                                "add.u64 %rd5, %rd4, %rd3;\n"
                                "st.global.u32 [%rd5], %r4;\n" PTX_NEXT PTX_END

                                ".visible .entry copy(.param .u64 dst, .param .u64 src, .param "
                                ".u64 count)\n" PTX_BEGIN PTX_GLOBAL("%rd4", "dst")
                                    PTX_GLOBAL("%rd5", "src") PTX_LOOP
    "add.u64 %rd6, %rd5, %rd3;\n"
    "add.u64 %rd7, %rd4, %rd3;\n"
    "ld.global.u32 %r4, [%rd6];\n"
    "st.global.u32 [%rd7], %r4;\n" PTX_NEXT PTX_END

    ".visible .entry add(.param .u64 p, .param .u32 value, .param .u64 count)\n" PTX_BEGIN
        PTX_GLOBAL(
            "%rd4",
            "p") "ld.param.u32 %r4, [value];\n" PTX_LOOP "add.u64 %rd5, %rd4, %rd3;\n"
                 "ld.global.u32 %r5, [%rd5];\n"
                 "add.u32 %r5, %r5, %r4;\n"
                 "st.global.u32 [%rd5], %r5;\n" PTX_NEXT PTX_END

                 ".visible .entry sum(.param .u64 p, .param .u64 count, .param .u64 "
                 "out)\n" PTX_BEGIN PTX_GLOBAL("%rd4", "p") PTX_GLOBAL(
                     "%rd6",
                     "out") "mov.u64 %rd7, 0;\n" PTX_LOOP "add.u64 %rd5, %rd4, %rd3;\n"
                            "ld.global.u32 %r4, [%rd5];\n"
                            "cvt.u64.u32 %rd8, %r4;\n"
                            "add.u64 %rd7, %rd7, %rd8;\n" PTX_NEXT
                            "red.global.add.u64 [%rd6], %rd7;\n" PTX_END

                            ".visible .entry check(.param .u64 p, .param .u32 value, .param .u64 "
                            "count,"
                            " .param .u64 mismatches)\n" PTX_BEGIN PTX_GLOBAL("%rd4", "p")
                                PTX_GLOBAL(
                                    "%rd6",
                                    "mismatches") "ld.param.u32 %r4, [value];\n"
                                                  "mov.u64 %rd7, 0;\n" PTX_LOOP
                                                  "add.u64 %rd5, %rd4, %rd3;\n"
                                                  "ld.global.u32 %r5, [%rd5];\n"
                                                  "setp.ne.u32 %p1, %r5, %r4;\n"
                                                  "selp.u64 %rd8, 1, 0, %p1;\n"
                                                  "add.u64 %rd7, %rd7, %rd8;\n" PTX_NEXT
                                                  "red.global.add.u64 [%rd6], %rd7;\n" PTX_END

                                                  ".visible .entry spin(.param .u64 microseconds)\n"
                                                  "{\n"
                                                  ".reg .pred %p0;\n"
                                                  ".reg .b64 %rd<4>;\n"
                                                  "ld.param.u64 %rd0, [microseconds];\n"
                                                  "mul.lo.u64 %rd0, %rd0, 1000;\n"
                                                  "mov.u64 %rd1, %globaltimer;\n"
                                                  "WAIT:\n"
                                                  "mov.u64 %rd2, %globaltimer;\n"
                                                  "sub.u64 %rd3, %rd2, %rd1;\n"
                                                  "setp.lt.u64 %p0, %rd3, %rd0;\n"
                                                  "@%p0 bra WAIT;\n" PTX_END;

#endif
