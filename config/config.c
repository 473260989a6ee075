/* config.c: defaults, then the policy file, then the environment; see config.h. */
#include "config/option.h"

#include <errno.h>
#include <string.h>

void cfg_refuse(struct cfg_reader *reader, const struct cfg_place *place, enum cfg_option option,
                const char *found, size_t found_len)
{
    /* what stands in a file has its own quotes, if any */
    const char *quote = place->file ? "" : "\"";
    struct cfg_line line = {0};
    char kept[CFG_TEXT_MAX];

    cfg_add_place(&line, place);
    cfg_add(&line, "found %s", quote);
    cfg_add_foreign(&line, found, found_len, 60);
    cfg_add(&line, "%s, allowed: ", quote);
    cfg_add_allowed(&line, option);
    cfg_format(&reader->result->config, option, kept, sizeof(kept));
    cfg_add(&line, "; kept ");
    if (*kept)
        cfg_add_foreign(&line, kept, strlen(kept), 60);
    else
        cfg_add(&line, "\"\"");
    cfg_say(reader, CFG_ERROR, &line);
}

void cfg_take(struct cfg_reader *reader, const struct cfg_place *place, enum cfg_option option,
              const char *text, size_t len, const char *found, size_t found_len)
{
    const struct cfg_desc *desc = &cfg_desc[option];
    struct cfg_line line = {0};
    char value[64];

    if (!cfg_parse(&reader->result->config, option, text, len)) {
        cfg_refuse(reader, place, option, found, found_len);
        return;
    }
    reader->result->origin[option] = place->file ? CFG_FROM_FILE : CFG_FROM_ENVIRONMENT;
    if (cfg_advised(&reader->result->config, option))
        return;
    cfg_format(&reader->result->config, option, value, sizeof(value));
    cfg_add_place(&line, place);
    cfg_add(&line, "%s is taken, but %s to %s is advised", value, desc->advice_low,
            desc->advice_high);
    cfg_say(reader, CFG_WARNING, &line);
}

/* The file that HYBRIDMEM_POLICY names, white space cut off, in buf; NULL when there is none. */
static const char *policy_from_env(struct cfg_reader *reader, char **env, char *buf, size_t size)
{
    struct cfg_line line = {0};
    size_t len;
    const char *value = cfg_getenv(env, CFG_ENV_PREFIX CFG_ENV_POLICY, &len);

    if (!value || len == 0)
        return NULL;
    if (len >= size) {
        cfg_add(&line, CFG_ENV_PREFIX CFG_ENV_POLICY ": the file name is longer than %d bytes",
                (int)size - 1);
        cfg_say(reader, CFG_ERROR, &line);
        return NULL;
    }
    memcpy(buf, value, len);
    buf[len] = '\0';
    return buf;
}

void cfg_load(struct cfg_result *result, const char *policy_file, char **env, cfg_report_fn *report,
              void *arg)
{
    struct cfg_reader reader = {result, report, arg};
    char path[CFG_TEXT_MAX];
    int saved = errno;

    memset(result, 0, sizeof(*result)); /* CFG_FROM_DEFAULT, all of them */
    for (size_t i = 0; i < CFG_OPTIONS; i++)
        cfg_parse(&result->config, (enum cfg_option)i, cfg_desc[i].initial,
                  strlen(cfg_desc[i].initial));
    if (!policy_file)
        policy_file = policy_from_env(&reader, env, path, sizeof(path));
    if (policy_file)
        cfg_read_file(&reader, policy_file, &cfg_io_system);
    cfg_read_env(&reader, env);
    errno = saved;
}

struct pol_settings cfg_settings(const struct config *c, uint64_t vram_total, uint64_t ram_total)
{
    static const enum pol_placement placements[] = {
        [CFG_PLACEMENT_ADAPTIVE] = POL_PLACEMENT_ADAPTIVE,
        [CFG_PLACEMENT_STRICT] = POL_PLACEMENT_STRICT,
        [CFG_PLACEMENT_DEVICE_FIRST] = POL_PLACEMENT_DEVICE_FIRST,
    };

    return (struct pol_settings){
        .conservative_factor = c->conservative_factor,
        .overhead_percent = c->overhead_percent,
        .system_ram_pad =
            c->system_ram_pad_gb == CFG_UNSET ? POL_AUTO : pol_scale(POL_GIB, c->system_ram_pad_gb),
        .vram_limit = cfg_size_bytes(&c->vram_limit, vram_total),
        .host_limit = cfg_size_bytes(&c->host_limit, ram_total),
        .min_redirect = cfg_size_bytes(&c->min_redirect, vram_total),
        .placement = placements[c->placement],
    };
}

uint64_t cfg_size_bytes(const struct cfg_size *size, uint64_t total)
{
    if (size->value == CFG_UNSET || !size->is_percent)
        return size->value;
    return (uint64_t)((unsigned __int128)total * size->value / (100 * CFG_ONE));
}
