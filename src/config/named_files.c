/* See named_files.h. Kubernetes replaces a link, others the file or what is in it: inode, size and
 * time tell of each. */
#include "config/named_files.h"

#include <string.h>
#include <sys/stat.h>

#include "config/config_file.h"
#include "core/hash.h"

/* 0: there is no such regular file. */
static uint64_t stamp_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    const uint64_t parts[] = {(uint64_t) status.st_ino, (uint64_t) status.st_size,
                              (uint64_t) status.st_mtim.tv_sec, (uint64_t) status.st_mtim.tv_nsec};
    return hash_bytes(parts, sizeof parts, 1) | 1;
}

uint64_t named_files_loaded(const struct named_file *files)
{
    uint64_t stamp = 1;
    for (; files; files = files->next)
        stamp = hash_mix(stamp, files->stamp) | 1;
    return stamp;
}

uint64_t named_files_now(const struct named_file *files)
{
    uint64_t stamp = 1;
    for (; files; files = files->next) {
        uint64_t now = stamp_of(files->path);
        if (!now)
            return 0;
        stamp = hash_mix(stamp, now) | 1;
    }
    return stamp;
}

void named_files_add(struct load *load, const char *path)
{
    for (const struct named_file *file = *load->files; file; file = file->next)
        if (strcmp(file->path, path) == 0)
            return;
    struct named_file *file = pool_alloc(load->keep, 1, sizeof *file);
    const char *kept = file ? pool_strdup(load->keep, path) : NULL;
    if (!kept)
        return; /* the pool knows that it failed, and so does the load */
    *file = (struct named_file){.path = kept, .next = *load->files, .stamp = stamp_of(path)};
    *load->files = file;
}

/* Kafka's properties end in .location; ours have short names. */
static bool names_a_file(const char *key)
{
    static const char *const names[] = {"ca", "client_ca", "certificate", "key", "public_key"};
    static const char *const ends[] = {".location", ".keytab"};
    size_t length = strlen(key);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (length > strlen(ends[i]) && strcmp(key + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

void named_files_collect(struct load *load, const struct node *node)
{
    for (size_t i = 0; node && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        const struct node *value = entry->node;
        if (value->kind != NODE_SCALAR) {
            named_files_collect(load, value);
        } else if (names_a_file(entry->key) && value->text && *value->text) {
            const char *path =
                config_file_resolve(&load->scratch, value->source->folder, value->text);
            if (path && stamp_of(path))
                named_files_add(load, path);
            else if (stamp_of(value->text))
                named_files_add(load, value->text);
        }
    }
}
