#!/usr/bin/env python3
"""Counts clauses that hide their actor, per 1,000 words of comments and Markdown.

A clause counts when its subject is a relative clause without a noun, or a pronoun for a person:
`what was asked for comes back`, `whoever hears of it answers`, `nobody leads`. Such a sentence
makes the reader work out which part of the program acts. A label counts, too: `What a client sees.`
Questions do not count, nor do clauses that are an object (`decides what is sent`), nor relative
clauses with a noun (`the client that asks`, `a leader who stops`).

The script reads the files that git tracks: comments of Rust, comments and docstrings of Python,
comments of shell scripts, and Markdown. It leaves out blocks of code.

It judges by the words around the pronoun and knows no grammar, so it errs both ways. It misses
`who` behind a noun that it does not belong to. Within a sentence it misses a subject clause whose
verbs look like nouns or participles. It wrongly counts an object that opens its sentence.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RELATIVES = ("those who", "he who", "whoever", "whatever", "who", "what")
PERSONS = (
    "nobody", "somebody", "everybody", "anybody", "no one", "someone", "everyone", "anyone", "none",
)
_OPENER = re.compile(rf"\b({'|'.join(RELATIVES + PERSONS)})\b", re.IGNORECASE)

# The words after which a clause begins with its subject.
_CONJUNCTIONS = frozenset(
    "although and as because before but if lest once or since so than that then though unless "
    "until when whenever where whereas wherever whether while yet".split()
)
# The words that put an object before its verb, so that a pronoun behind them is the subject.
_PRONOUNS = frozenset("what which whom whose who whatever whichever".split())
_PREPOSITIONS = frozenset("about at besides by for from in of on to with without".split())
_AUXILIARIES = frozenset(
    "am are be been can cannot could did do does had has have is may might must need shall "
    "should was were will would".split()
)
_OTHER_VERBS = frozenset(
    "ask became become began begin came come get go got keep knew know lead leave lost made make "
    "put read said saw say see sent stand stay stood take tell told took want went wait "
    "wrote".split()
)
# A verb behind one of these belongs to a clause within the clause.
_SUBORDINATE = _CONJUNCTIONS - set("and but or so then yet".split()) | _PRONOUNS | {"how"}
# A word in -s behind one of these is a noun.
_BEFORE_NOUNS = _PREPOSITIONS | frozenset(
    "a all an and any between both each either every few five four into its many more most no or "
    "other others over own same several some such the their these this those three two under "
    "which".split()
)


class Line(NamedTuple):
    number: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A clause with a hidden actor: the line of its pronoun, and its sentence."""

    line: int
    sentence: str


@dataclass(frozen=True)
class Count:
    words: int
    hits: tuple[Hit, ...]


def rate(hits: int, words: int) -> float:
    return 1000 * hits / words if words else 0.0


def count(path: Path, source: str) -> Count:
    words = 0
    hits: list[Hit] = []
    for comment in _comments(path, source):
        for paragraph in _paragraphs(comment):
            text, starts = _joined(paragraph)
            words += sum(any(c.isalnum() for c in word) for word in text.split())
            for start, sentence in _sentences(text):
                hits += (
                    Hit(_line_at(starts, start + place), sentence)
                    for place in hidden_actors(sentence)
                )
    return Count(words, tuple(hits))


def hidden_actors(sentence: str) -> list[int]:
    """The places of the pronouns that are, or open, a subject."""
    if sentence.endswith("?"):
        return []
    return [found.start() for found in _OPENER.finditer(sentence) if _is_subject(sentence, found)]


def _is_subject(sentence: str, found: re.Match[str]) -> bool:
    before = sentence[:found.start()].rstrip(" \"'(*_")
    after = re.split(r"[:;)]", sentence[found.end():])[0].split()
    last = before.split()[-1].lower() if before else ""
    opens = not before or before[-1] in ":;,.!-" or sentence[found.start() - 1] == "("
    if found[1].lower() in PERSONS:
        may_lead = opens or last in _CONJUNCTIONS
        led = last in _PRONOUNS or (may_lead and found[1].lower() != "none")
        if sentence[found.end():].startswith("'") or last in _PREPOSITIONS:
            return False
        return _predicates(after[:8] if led else after[:1]) > 0
    if not before or (last in ("and", "but", "so", "then", "yet") and last == before.lower()):
        return len(after) > 1
    return (opens or last in _CONJUNCTIONS) and _predicates(after) > 1


def _predicates(words: list[str]) -> int:
    """About how many verbs there are whose subject may stand before these words."""
    verbs = 0
    previous = ""
    subordinate = False
    for word in (word.strip(",.\"'*_").lower() for word in words):
        if word in _SUBORDINATE:
            subordinate = True
        elif _is_verb(word, previous):
            verbs += not subordinate and previous not in _AUXILIARIES
            subordinate = subordinate and previous in _AUXILIARIES
        previous = word
    return verbs


def _is_verb(word: str, previous: str) -> bool:
    if word in _AUXILIARIES or word in _OTHER_VERBS:
        return True
    if word.endswith("ed"):
        return previous not in _BEFORE_NOUNS
    is_plural_or_verb = word.endswith("s") and not word.endswith(("ss", "us", "is", "'s"))
    return is_plural_or_verb and word not in ("as", "always") and previous not in _BEFORE_NOUNS


def _comments(path: Path, source: str) -> Iterable[list[Line]]:
    """The runs of lines of prose in a file; empty for a kind of file that has none."""
    if path.suffix == ".md":
        return [[Line(n, text) for n, text in enumerate(source.splitlines(), 1)]]
    if path.suffix == ".rs":
        return _rust_comments(source)
    if path.suffix == ".py" or re.match(r"#!.*python", source):
        return _python_comments(source)
    if re.match(r"#!.*sh\b", source):
        return _shell_comments(source)
    return []


_RUST_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*) | /\*.*?\*/ | r(?P<hashes>\#*)".*?"(?P=hashes)
    | "(?:\\.|[^"\\])*" | '(?:\\[^\n]+?|[^\\'])'""",
    re.DOTALL | re.VERBOSE,
)


def _rust_comments(source: str) -> Iterator[list[Line]]:
    def found() -> Iterator[tuple[int, int, str, str]]:
        for token in _RUST_TOKEN.finditer(source):
            if token["comment"]:
                line = source.count("\n", 0, token.start()) + 1
                column = token.start() - source.rfind("\n", 0, token.start()) - 1
                marker = re.match(r"//[/!]?", token["comment"])
                assert marker is not None
                yield line, column, marker[0], token["comment"]

    return _runs(found())


def _python_comments(source: str) -> Iterator[list[Line]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if (docstring := ast.get_docstring(node)) is not None:
                first = node.body[0].lineno
                yield [Line(n, text) for n, text in enumerate(docstring.splitlines(), first)]

    def found() -> Iterator[tuple[int, int, str, str]]:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
                yield token.start[0], token.start[1], "#", token.string

    yield from _runs(found())


def _shell_comments(source: str) -> Iterator[list[Line]]:
    return _runs(
        (number, text.index("#"), "#", text.lstrip())
        for number, text in enumerate(source.splitlines(), 1)
        if text.lstrip().startswith("#") and not text.startswith("#!")
    )


def _runs(comments: Iterable[tuple[int, int, str, str]]) -> Iterator[list[Line]]:
    """Comments of (line, column, marker, text); those of one kind and column that touch are one."""
    run: list[Line] = []
    kind = None
    for number, column, marker, text in comments:
        if run and (kind != (column, marker) or number != run[-1].number + 1):
            yield run
            run = []
        kind = (column, marker)
        run.append(Line(number, text.removeprefix(marker)))
    if run:
        yield run


_ITEM = re.compile(r"\s*([*+-]|\d+[.)])\s+")


def _paragraphs(lines: list[Line]) -> Iterator[list[Line]]:
    """Paragraphs, items of lists, headings and cells of tables, without blocks of code."""
    paragraph: list[Line] = []
    in_code = in_list = False
    margin = min((len(t) - len(t.lstrip()) for _, t in lines if t.strip()), default=0)
    for number, text in lines:
        text = text[margin:].rstrip()
        is_fence = text.lstrip().startswith(("```", "~~~"))
        is_item = _ITEM.match(text) is not None
        is_indented = text.startswith("    ") and not in_list and not paragraph
        is_cells = text.lstrip().startswith("|")
        starts_anew = is_fence or is_item or is_cells or not text or text.startswith("#")
        if starts_anew and paragraph:
            yield paragraph
            paragraph = []
        if is_fence:
            in_code = not in_code
            continue
        in_list = is_item or (in_list and (not text or text.startswith(" ") or bool(paragraph)))
        if in_code or not text or (is_indented and not is_item):
            continue
        if is_cells or text.startswith("#"):
            cells = text.strip("|# ").split("|")
            yield from ([Line(number, cell.strip())] for cell in cells if cell.strip())
        else:
            paragraph.append(Line(number, (_ITEM.sub("", text, 1) if is_item else text).strip()))
    if paragraph:
        yield paragraph


def _joined(paragraph: list[Line]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a paragraph, code and links as words, and where in it each line starts."""
    starts = []
    text = ""
    for number, part in paragraph:
        starts.append((len(text), number))
        part = re.sub(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])?", r"\1", part)
        text += re.sub(r"`[^`]*`", "CODE", part) + " "
    return text.rstrip(), starts


def _line_at(starts: list[tuple[int, int]], place: int) -> int:
    return max((start, number) for start, number in starts if start <= place)[1]


_SENTENCE_END = re.compile(r"[.!?][\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9])")


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield start, text[start:end.end()].rstrip()
        start = end.end()
    yield start, text[start:]


def _tracked(arguments: list[Path]) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *arguments], capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and Path(name).is_file()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files or directories; default: all")
    parser.add_argument("--show", action="store_true", help="print each sentence that counts")
    parser.add_argument(
        "--most", type=float, metavar="RATE", help="exit with 1 if the total rate is above this"
    )
    options = parser.parse_args(arguments)
    hits = words = 0
    for path in _tracked(options.paths):
        try:
            found = count(path, path.read_text())
        except UnicodeDecodeError:
            continue
        hits += len(found.hits)
        words += found.words
        if options.show:
            for hit in found.hits:
                print(f"{path}:{hit.line}: {hit.sentence}")
        elif found.words:
            print(_row(len(found.hits), found.words, str(path)))
    print(_row(hits, words, "total"))
    return int(options.most is not None and rate(hits, words) > options.most)


def _row(hits: int, words: int, name: str) -> str:
    return f"{hits:5} hits {words:7,} words {rate(hits, words):6.1f} per 1,000  {name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
