/* The last things that went wrong. See recent.h. */
#include "pipeline/recent.h"

#include <string.h>

#include "core/time.h"
#include "core/utf8.h"
#include "pipeline/json_text.h"

void recent_note(struct recent *recent, bool letter, const char *text)
{
    char kept[RECENT_TEXT_BYTES];
    int64_t now = time_wall_us();
    struct recent_note *note = &recent->notes[recent->newest];
    utf8_copy(kept, sizeof kept, text, strlen(text));
    if (!note->first_us || note->letter != letter || strcmp(note->text, kept) != 0) {
        recent->newest = (recent->newest + 1) % RECENT_NOTES;
        note = &recent->notes[recent->newest];
        *note = (struct recent_note){.first_us = now, .letter = letter};
        memcpy(note->text, kept, sizeof kept);
    }
    note->last_us = now;
    note->times++;
}

json_t *recent_describe(const struct recent *recent)
{
    json_t *list = json_array();
    for (size_t i = 0; i < RECENT_NOTES; i++) {
        const struct recent_note *note =
            &recent->notes[(recent->newest + RECENT_NOTES - i) % RECENT_NOTES];
        if (note->first_us)
            json_array_append_new(
                list, json_pack("{s:s, s:f, s:f, s:I, s:o}", "kind",
                                note->letter ? "letter" : "error", "first_at",
                                (double) note->first_us / 1e6, "last_at",
                                (double) note->last_us / 1e6, "times", (json_int_t) note->times,
                                "text", text_of(note->text)));
    }
    return list;
}
