"""include/ods is all that a plug-in's author needs: each header compiles alone, as C and as C++, and
includes only the others and the standard library."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from lib.set_up import lacking

INCLUDE = ROOT / "include"
HEADERS = sorted(path.relative_to(INCLUDE).as_posix() for path in INCLUDE.rglob("*.h"))
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-I", INCLUDE)
LANGUAGES = {"C": ("cc", "c", "-std=c11"), "C++": ("c++", "c++", "-std=c++17")}
STANDARD = {f"std{name}.h" for name in ("arg", "bool", "def", "int", "io", "lib")} | {"string.h"}

# What a plug-in does: it takes memory from the batch, appends a change and answers with an error.
PLUG_IN = """
static enum ods_status decode(struct decoder *decoder, struct batch *batch, uint32_t record,
                              struct error *error)
{
    struct value *values = (struct value *) arena_alloc(&batch->arena, sizeof *values);
    struct change *change = values ? batch_add_change(batch) : NULL;
    (void) decoder;
    if (!change)
        return error_out_of_memory(error);
    values->kind = VALUE_NULL;
    change->op = OP_CREATE;
    change->record = record;
    change->after = values;
    return ODS_OK;
}

extern const struct format_ops decoder_example;
const struct format_ops decoder_example = {"example", "of a format", NULL, decode,
                                           0, NULL, NULL, NULL};
"""


def compile_text(language, folder, text, *options):
    command, dialect, standard = LANGUAGES[language]
    if not shutil.which(command):
        lacking(f"no {command} on this machine")
    source = folder / "source"
    source.write_text(text)
    done = subprocess.run([command, "-x", dialect, standard, *STRICT, *options, source],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(header, language, tmp_path):
    twice = f"#include <{header}>\n" * 2
    compile_text(language, tmp_path, twice + "int nothing;\n", "-fsyntax-only")


@pytest.mark.parametrize("header", HEADERS)
def test_header_includes_only_its_like_and_the_standard_library(header):
    included = re.findall(r"^#\s*include\s*(\S+)", (INCLUDE / header).read_text(), re.MULTILINE)
    assert {name.strip("<>") for name in included} <= set(HEADERS) | STANDARD


@pytest.mark.parametrize("language", LANGUAGES)
def test_plug_in_links_with_c(language, tmp_path):
    """Its symbols have C's names."""
    text = "".join(f"#include <{header}>\n" for header in HEADERS) + PLUG_IN
    compile_text(language, tmp_path, text, "-c", "-O1", "-o", tmp_path / "object")
    symbols = subprocess.run(["nm", tmp_path / "object"], check=True, capture_output=True,
                             text=True).stdout
    assert re.search(r" U batch_add_change$", symbols, re.MULTILINE), symbols
    assert re.search(r" U arena_alloc_slow$", symbols, re.MULTILINE), symbols
