/* conform.h: what the cases of the conformance suite share.
 *
 * A case checks one rule of the driver API's documentation (CUDA driver API reference; "cuda.h" for
 * what only the header says) and states it in one line. It reaches the driver through dlsym, so
 * that the same program runs on any driver: what an older one lacks is a reason to skip. It leaves
 * nothing behind.
 *
 * A case ends in `ok`, `skip` or `FAIL`. What the documentation leaves open is not judged but noted
 * (SAW, NOTE) and printed with the result: with and without the library it must be the same.
 */
#ifndef HYBRIDMEM_TESTS_CONFORM_H
#define HYBRIDMEM_TESTS_CONFORM_H

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL /* every name as it is exported: conform_api.h picks */
#endif
#include <cuda.h>

#include "conform_api.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* The driver, by dlsym: cu.MemAlloc is cuMemAlloc_v2. NULL where the driver lacks it. */
struct conf_api {
#define CONF_MEMBER(member, symbol) __typeof__(&symbol) member;
    CONF_API(CONF_MEMBER)
#undef CONF_MEMBER
};
extern struct conf_api cu;

/* Device 0 with its primary context, current; the kernels of tests/hosts/kernels.h. */
struct conf_state {
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction fill, copy, add, spin;
};
extern struct conf_state conf;

enum conf_where {
    CONF_SHARED, /* in one process with the other cases of its group */
    CONF_ALONE,  /* in a process of its own: it ends its context, say */
    CONF_BARE    /* in a process of its own, which has not called cuInit */
};

struct conf_case {
    const char *group, *name, *rule;
    enum conf_where where;
    void (*run)(const void *row);
    const void *row;
    struct conf_case *next;
};
void conf_register(struct conf_case *one);
/* `all` names no row but the table of them. */
void conf_register_rows(const struct conf_case *all, size_t count, size_t row_size);

/* CASE(name, "function: rule") { ... } */
#define CASE_AT(name_, where_, rule_)                                                              \
    static void name_(const void *unused_row);                                                     \
    __attribute__((constructor)) static void name_##_register(void)                                \
    {                                                                                              \
        static struct conf_case one = {CONF_GROUP, #name_, rule_, where_, name_, NULL, NULL};      \
        conf_register(&one);                                                                       \
    }                                                                                              \
    static void name_(__attribute__((unused)) const void *unused_row)
#define CASE(name_, rule_)       CASE_AT(name_, CONF_SHARED, rule_)
#define CASE_ALONE(name_, rule_) CASE_AT(name_, CONF_ALONE, rule_)
#define CASE_BARE(name_, rule_)  CASE_AT(name_, CONF_BARE, rule_)

/* One case for each row of a table whose rows begin with their names:
 * CASES(name, rows, "function: rule") { ... row->... } */
#define CASES(name_, rows_, rule_)                                                                 \
    enum { name_##_count = sizeof(rows_) / sizeof(rows_[0]) };                                     \
    static void name_(const __typeof__(rows_[0]) *row);                                            \
    static void name_##_row(const void *row)                                                       \
    {                                                                                              \
        name_(row);                                                                                \
    }                                                                                              \
    __attribute__((constructor)) static void name_##_register(void)                                \
    {                                                                                              \
        static const struct conf_case every_row = {CONF_GROUP,  #name_, rule_, CONF_SHARED,        \
                                                   name_##_row, rows_,  NULL};                     \
        conf_register_rows(&every_row, name_##_count, sizeof(rows_[0]));                           \
    }                                                                                              \
    static void name_(const __typeof__(rows_[0]) *row)

/* Each of these ends the case. */
_Noreturn void conf_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For handles that never were one: the documentation has an error for them, but a real driver may
 * read through them. Skips unless CONFORM_FORGED=1. */
void conf_forged(void);
_Noreturn void conf_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void conf_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *conf_result(CUresult result);
void *conf_exported(const char *symbol); /* by dlsym */

static inline void conf_is(const char *file, int line, const char *call, CUresult result,
                           CUresult wanted)
{
    if (result != wanted)
        conf_fail(file, line, "%s: %s, not %s", call, conf_result(result), conf_result(wanted));
}

#define IS(call, wanted) conf_is(__FILE__, __LINE__, #call, (call), (wanted))
#define MUST(call)       IS(call, CUDA_SUCCESS)
/* An error, whichever. */
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        CUresult result_ = (call);                                                                 \
        if (result_ == CUDA_SUCCESS)                                                               \
            conf_fail(__FILE__, __LINE__, "%s: succeeded", #call);                                 \
        conf_note("%s", conf_result(result_));                                                     \
    } while (0)
/* Whatever it answers is noted. */
#define SAW(call) conf_note("%s", conf_result(call))
#define NOTE(...) conf_note(__VA_ARGS__)
#define CHECK(truth)                                                                               \
    do {                                                                                           \
        if (!(truth))                                                                              \
            conf_fail(__FILE__, __LINE__, "not so: %s", #truth);                                   \
    } while (0)
#define EQUAL(one, other)                                                                          \
    do {                                                                                           \
        unsigned long long one_ = (unsigned long long)(one), other_ = (unsigned long long)(other); \
        if (one_ != other_)                                                                        \
            conf_fail(__FILE__, __LINE__, "%s is 0x%llx, not 0x%llx", #one, one_, other_);         \
    } while (0)
#define NEEDS(member)                                                                              \
    do {                                                                                           \
        if (!cu.member)                                                                            \
            conf_skip("this driver has no cu%s", #member);                                         \
    } while (0)

/* Shorter ways to say what many cases do. All of them end the case if they fail. */
void *conf_memory(size_t bytes); /* pageable; free() it */
CUdeviceptr conf_alloc(size_t bytes);
void conf_free(CUdeviceptr p);
CUstream conf_stream(void); /* non-blocking */
void conf_stream_end(CUstream stream);
void conf_spin(uint64_t microseconds, CUstream stream); /* by a kernel */
void conf_fill(CUdeviceptr p, uint32_t value, size_t words, CUstream stream);
void conf_add(CUdeviceptr p, uint32_t value, size_t words, CUstream stream);
void conf_copy(CUdeviceptr dst, CUdeviceptr src, size_t words, CUstream stream);
/* All words of [p, p + words) hold `value`, read by a synchronous copy. */
bool conf_holds(CUdeviceptr p, uint32_t value, size_t words);
/* Bytes that tell their place: write, and compare. Of a CPU's memory, and of a block. */
void conf_pattern(void *bytes, size_t count, unsigned seed);
bool conf_patterned(const void *bytes, size_t count, unsigned seed);
void conf_pattern_block(CUdeviceptr p, size_t bytes, unsigned seed);
bool conf_patterned_block(CUdeviceptr p, size_t bytes, unsigned seed);
CUcontext conf_second_context(void);      /* made and current; conf_context_end destroys it */
void conf_context_end(CUcontext context); /* conf.context is current again */
CUdevice conf_second_device(void);        /* or skips */
int conf_attribute(CUdevice_attribute attribute);

#endif
