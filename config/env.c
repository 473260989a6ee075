/* env.c: options from environment variables. */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const char *cfg_getenv(char **env, const char *name, size_t *len)
{
    size_t name_len = strlen(name);

    for (; env && *env; env++) {
        const char *value = *env + name_len + 1;

        /* the first of several, as getenv */
        if (strncmp(*env, name, name_len) != 0 || (*env)[name_len] != '=')
            continue;
        while (is_blank(*value))
            value++;
        *len = strlen(value);
        while (*len && is_blank(value[*len - 1]))
            --*len;
        return value;
    }
    return NULL;
}

/* An empty variable counts as unset, as start scripts write it; but a text may be empty. */
static const char *given(char **env, const char *name, enum cfg_option option, size_t *len)
{
    const char *value = cfg_getenv(env, name, len);

    return value && *len == 0 && cfg_desc[option].kind != CFG_KIND_TEXT ? NULL : value;
}

static void take(struct cfg_reader *reader, char **env, const char *name, enum cfg_option option)
{
    struct cfg_place place = {.name = name, .name_len = strlen(name)};
    size_t len;
    const char *value = given(env, name, option, &len);

    if (value)
        cfg_take(reader, &place, option, value, len, value, len);
}

static void take_alias(struct cfg_reader *reader, char **env, const struct cfg_alias *alias)
{
    const char *name = cfg_desc[alias->option].env;
    struct cfg_line line = {0};
    size_t len;

    if (!given(env, name, alias->option, &len)) {
        take(reader, env, alias->env, alias->option);
    } else if (given(env, alias->env, alias->option, &len)) {
        cfg_add(&line, "%s: ignored, because %s is set too and means the same", alias->env, name);
        cfg_say(reader, CFG_WARNING, &line);
    }
}

static bool same(const char *known, const char *name, size_t len)
{
    return strncmp(known, name, len) == 0 && known[len] == '\0';
}

/* `name` is what follows HYBRIDMEM_. */
static bool is_known(const char *name, size_t len)
{
    const size_t prefix = strlen(CFG_ENV_PREFIX);

    for (size_t i = 0; i < CFG_OPTIONS; i++)
        if (same(cfg_desc[i].env + prefix, name, len))
            return true;
    for (size_t i = 0; i < cfg_aliases; i++)
        if (same(cfg_alias[i].env + prefix, name, len))
            return true;
    return same(CFG_ENV_POLICY, name, len) || same(CFG_ENV_LIBRARY, name, len);
}

static void warn_unknown(struct cfg_reader *reader, const char *name, size_t len)
{
    const char *nearest = cfg_nearest(name, len, true);
    struct cfg_line line = {0};

    cfg_add(&line, CFG_ENV_PREFIX);
    cfg_add_foreign(&line, name, len, 80);
    if (nearest)
        cfg_add(&line, ": unknown, ignored; did you mean " CFG_ENV_PREFIX "%s?", nearest);
    else
        cfg_add(&line, ": unknown, ignored; \"hybridmem --help\" lists the options");
    cfg_say(reader, CFG_WARNING, &line);
}

void cfg_read_env(struct cfg_reader *reader, char **env)
{
    const size_t prefix = strlen(CFG_ENV_PREFIX);

    for (size_t i = 0; i < CFG_OPTIONS; i++)
        take(reader, env, cfg_desc[i].env, (enum cfg_option)i);
    for (size_t i = 0; i < cfg_aliases; i++)
        take_alias(reader, env, &cfg_alias[i]);
    for (; env && *env; env++) {
        const char *name = *env + prefix;

        if (strncmp(*env, CFG_ENV_PREFIX, prefix) == 0 && !is_known(name, strcspn(name, "=")))
            warn_unknown(reader, name, strcspn(name, "="));
    }
}
