/* A page of HTML about what rules found. See quality.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/html.h"
#include "cli/json.h"
#include "cli/quality.h"

#define PLOT_WIDTH  240
#define PLOT_HEIGHT 36
#define BAR_MOST    14.0

static const char style[] =
    ":root{--bg:#fff;--fg:#1c2330;--dim:#667085;--line:#e3e6ec;--card:#f7f8fa;--good:#2e7d4f;"
    "--bad:#c0392b;--unsure:#b7791f;--cost:#7c8db5}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14171c;--fg:#e6e9ee;--dim:#98a2b3;"
    "--line:#2b313b;--card:#1c2027;--good:#58b07c;--bad:#ef7a6d;--unsure:#dca54c;--cost:#8ea2d0}}"
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:2rem 1.5rem 4rem;"
    "max-width:1240px;background:var(--bg);color:var(--fg)}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}"
    "h2 span{color:var(--dim);font-weight:400}p.when{color:var(--dim);margin:.2rem 0 1.4rem}"
    ".tiles{display:flex;gap:1rem;flex-wrap:wrap}.tile{background:var(--card);border:1px solid "
    "var(--line);border-radius:8px;padding:.7rem 1.2rem;min-width:7rem}"
    ".tile b{display:block;font-size:1.7rem;line-height:1.2}.tile span{color:var(--dim)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;min-width:900px;"
    "table-layout:fixed}td,th{padding:.5rem .7rem;"
    "text-align:left;vertical-align:top;border-bottom:1px solid var(--line);"
    "overflow-wrap:anywhere}"
    "th{color:var(--dim);font-weight:500;font-size:.85rem;white-space:nowrap}"
    "td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "td small,td.why{color:var(--dim)}td small{display:block}"
    ".state{font-weight:600;white-space:nowrap}.pass{color:var(--good)}.fail{color:var(--bad)}"
    ".unknown,.none{color:var(--unsure)}svg{display:block}td.cost,th.cost{text-align:right}"
    "td.cost svg{margin-left:auto}rect.pass{fill:var(--good)}"
    "rect.fail{fill:var(--bad)}rect.unknown{fill:var(--unsure)}"
    "polyline{fill:none;stroke:var(--cost);stroke-width:1.5}circle{fill:var(--cost)}"
    "line{stroke:var(--line)}.key{color:var(--dim);font-size:.85rem;margin-top:2rem}"
    /* On a narrow screen a rule is a block: its name and result, what was expected and measured,
     * the plots, and why. */
    "@media(max-width:820px){body{padding:1.2rem 1rem 3rem}.tiles{gap:.6rem}.tile{flex:1;"
    "min-width:0;padding:.5rem .8rem}table,tbody{display:block;min-width:0}"
    "tr:first-child{display:none}"
    "tr{display:grid;grid-template-columns:1fr auto;gap:.15rem 1rem;padding:.7rem 0;"
    "border-bottom:1px solid var(--line)}td{border:0;padding:0}td.state{text-align:right}"
    "td:nth-child(3){order:1}td:nth-child(n+5){order:2}td.why{grid-column:1/-1}"
    "td.why:empty{display:none}}";

static void put_text(FILE *page, const json_t *row, const char *name)
{
    html_put(page, text_in(row, name));
}

static double number_of(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

static double most_of(const json_t *runs, const char *name)
{
    double most = 0;
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run)
        most = fmax(most, number_of(run, name));
    return most;
}

static void put_moment(FILE *page, const char *at) /* 2026-01-31T12:00:00Z */
{
    char text[40];
    snprintf(text, sizeof text, "%.10s %.8s UTC", at, strlen(at) > 11 ? at + 11 : "");
    html_put(page, text);
}

static double step_of(size_t count)
{
    double step = (double) PLOT_WIDTH / (double) (count ? count : 1);
    return step > BAR_MOST ? BAR_MOST : step;
}

/* A bar a run, as high as what was measured, of the colour of its state. The newest is at the right
 * edge, so that those of several rules stand below each other. */
static void put_bars(FILE *page, const json_t *rule)
{
    const json_t *runs = json_object_get(rule, "runs");
    double most = most_of(runs, "measured"), step = step_of(json_array_size(runs));
    double first = PLOT_WIDTH - step * (double) json_array_size(runs);
    size_t i;
    json_t *run;
    fprintf(page, "<svg width=%d height=%d role=img aria-label=\"last runs\">", PLOT_WIDTH,
            PLOT_HEIGHT);
    fprintf(page, "<line x1=0 x2=%d y1=%d y2=%d />", PLOT_WIDTH, PLOT_HEIGHT - 1,
            PLOT_HEIGHT - 1);
    json_array_foreach(runs, i, run)
    {
        double share = most > 0 ? number_of(run, "measured") / most : 0;
        double height = 4 + share * (PLOT_HEIGHT - 8);
        char measured[64];
        json_t *named = json_pack("{s:s, s:O, s:O}", "check", text_in(rule, "check"), "measured",
                                  json_object_get(run, "measured"), "in_flight",
                                  json_object_get(rule, "in_flight"));
        fprintf(page, "<rect class=%s x=%.1f y=%.1f width=%.1f height=%.1f rx=1><title>",
                text_in(run, "state"), first + (double) i * step, PLOT_HEIGHT - 1 - height,
                step > 3 ? step - 2 : step, height);
        put_moment(page, text_in(run, "at"));
        fprintf(page, ": %s, %s</title></rect>", text_in(run, "state"),
                quality_measured(named, measured, sizeof measured));
        json_decref(named);
    }
    fputs("</svg>", page);
}

/* What each run cost, as a line. */
static void put_costs(FILE *page, const json_t *rule)
{
    const json_t *runs = json_object_get(rule, "runs");
    double most = most_of(runs, "seconds"), step = step_of(json_array_size(runs)) / 2;
    double first = PLOT_WIDTH / 2.0 - step * (double) (json_array_size(runs) - 1);
    double height = PLOT_HEIGHT - 6, x = 0, y = 0;
    size_t i;
    json_t *run;
    fprintf(page, "<svg width=%d height=%d role=img aria-label=cost><polyline points=\"",
            PLOT_WIDTH / 2 + 6, PLOT_HEIGHT);
    json_array_foreach(runs, i, run)
    {
        x = 3 + first + (double) i * step;
        y = 3 + height - (most > 0 ? number_of(run, "seconds") / most : 0) * height;
        fprintf(page, "%.1f,%.1f ", x, y);
    }
    fprintf(page, "\"/><circle cx=%.1f cy=%.1f r=2.5 /></svg>", x, y);
}

static void put_rule(FILE *page, const json_t *rule)
{
    char text[64];
    bool flies = json_is_true(json_object_get(rule, "in_flight"));
    fputs("<tr><td>", page);
    put_text(page, rule, "rule");
    bool named = strcmp(text_in(rule, "rule"), text_in(rule, "check")) == 0; /* after its check */
    fprintf(page, "<small>%s%s%s</small></td><td class=\"state %s\">%s</td><td class=n>",
            named ? "" : text_in(rule, "check"), !named && flies ? ", " : "",
            flies ? "in flight" : "", text_in(rule, "state"), text_in(rule, "state"));
    html_put(page, quality_measured(rule, text, sizeof text));
    if (json_is_integer(json_object_get(rule, "rows")))
        fprintf(page, "<small>of %.0f</small>", number_of(rule, "rows"));
    fputs("</td><td>", page);
    put_text(page, rule, "expected");
    fputs("</td><td>", page);
    put_bars(page, rule);
    fputs("</td><td class=cost>", page);
    put_costs(page, rule);
    fprintf(page, "<small>%s</small></td><td class=why>", quality_cost(rule, text, sizeof text));
    put_text(page, rule, "why");
    fputs("</td></tr>\n", page);
}

static void put_table_head(FILE *page, const json_t *rule)
{
    fputs("<h2>", page);
    put_text(page, rule, "table");
    fputs(" <span>→ ", page);
    html_put(page, *text_in(rule, "target")                         ? text_in(rule, "target")
                   : json_is_true(json_object_get(rule, "in_flight")) ? "changes on their way"
                                                                     : "not in the target");
    fputs(" · pipeline ", page);
    put_text(page, rule, "pipeline");
    fputs("</span></h2>\n<div class=wide><table><colgroup><col style=\"width:15%\">"
          "<col style=\"width:6%\"><col style=\"width:9%\"><col style=\"width:13%\">"
          "<col style=\"width:262px\"><col style=\"width:148px\"><col></colgroup>"
          "<tr><th>rule<th>result<th class=n>measured<th>expected<th>last runs<th class=cost>cost"
          "<th>why"
          "</tr>\n",
          page);
}

static bool same_table(const json_t *one, const json_t *other)
{
    return other && strcmp(text_in(one, "pipeline"), text_in(other, "pipeline")) == 0 &&
           strcmp(text_in(one, "table"), text_in(other, "table")) == 0 &&
           strcmp(text_in(one, "target"), text_in(other, "target")) == 0;
}

static void put_rules(FILE *page, const json_t *rules)
{
    const json_t *before = NULL;
    size_t i;
    json_t *rule;
    json_array_foreach(rules, i, rule)
    {
        if (!same_table(rule, before)) {
            fputs(before ? "</table></div>\n" : "", page);
            put_table_head(page, rule);
        }
        put_rule(page, rule);
        before = rule;
    }
    fputs(before ? "</table></div>\n" : "<p>No rule was checked yet.</p>\n", page);
}

static void put_tile(FILE *page, const json_t *report, const char *state, const char *words)
{
    fprintf(page, "<div class=tile><b class=%s>%.0f</b><span>%s</span></div>", state,
            number_of(json_object_get(report, "counts"), state), words);
}

bool quality_page(const json_t *report, const char *path)
{
    const char *verdict = text_in(report, "verdict");
    const char *words = strcmp(verdict, "pass") == 0   ? "all rules hold"
                        : strcmp(verdict, "fail") == 0 ? "rules are broken"
                        : strcmp(verdict, "none") == 0 ? "nothing was checked yet"
                                                       : "some can't be told";
    FILE *page = fopen(path, "we");
    if (!page)
        return false;
    fprintf(page,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content=\"width=device-width\"><title>Data quality: %s</title>\n<style>%s</style>\n"
            "<h1>Data quality: <span class=%s>%s</span></h1>\n<p class=when>",
            words, style, verdict, words);
    put_moment(page, text_in(report, "generated_at"));
    fputs("</p>\n<div class=tiles>", page);
    put_tile(page, report, "fail", "broken");
    put_tile(page, report, "unknown", "can't be told");
    put_tile(page, report, "pass", "hold");
    fputs("</div>\n", page);
    put_rules(page, json_object_get(report, "rules"));
    fputs("<p class=key>Bars are runs, the newest on the right, as high as what was measured; a "
          "rule that is broken is red. Lines are how long each run took.</p>\n</html>\n",
          page);
    bool good = !ferror(page);
    return fclose(page) == 0 && good;
}
