"""The script that counts clauses with a hidden actor, on sentences of this code base."""

import contextlib
import importlib.util
import io
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType
from unittest import mock

from simulator.tests.support import ROOT

SCRIPT = ROOT / ".ci" / "prose.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


prose = load()


class Sentences(unittest.TestCase):
    def assert_hidden(self, number: int, *sentences: str) -> None:
        for sentence in sentences:
            with self.subTest(sentence):
                self.assertEqual(len(prose.hidden_actors(sentence)), number)

    def test_relative_clause_as_subject_counts(self) -> None:
        self.assert_hidden(
            1,
            "Those who are silent on a pre-vote are asked again once for each that grants it.",
            "It asks once besides in a first attempt: who is heard by nobody asks no more.",
            "What was asked for comes back.",
            "Then whoever has heard a leader does not vote.",
            "An append that is late waits, so what differs is only its term.",
            "Because what was sent again arrives late, the answer counts once.",
        )

    def test_label_without_noun_counts(self) -> None:
        self.assert_hidden(1, "What a client sees.", "Who leads in the latest term.")

    def test_person_without_name_as_subject_counts(self) -> None:
        self.assert_hidden(
            1,
            "Nobody votes for a log that is behind.",
            "A put whose outcome nobody knows may take effect later.",
            "It waits until somebody leads.",
            "Under steady load everybody hears the leader often.",
            "If none does, the history contradicts itself.",
        )

    def test_named_actor_does_not_count(self) -> None:
        self.assert_hidden(
            0,
            "A candidate repeats its pre-vote request to silent voters once per grant it receives.",
            "A candidate that receives no grant stops asking.",
            "When the leader must probe its silent followers, because it has no quorum else.",
            "The client that asked is answered.",
            "A leader who has lost its quorum steps down.",
        )

    def test_object_does_not_count(self) -> None:
        self.assert_hidden(
            0,
            "The sender decides what is sent, and says what it left out.",
            "A get under a lease needs nobody.",
            "It sends the entries to those who asked.",
            "There is none.",
            "A pre-vote changes nobody's term.",
        )

    def test_question_does_not_count(self) -> None:
        self.assert_hidden(0, "Who leads?", "What happens when the leader dies?")


class Files(unittest.TestCase):
    def lines(self, name: str, source: str) -> list[int]:
        return [hit.line for hit in prose.count(Path(name), source).hits]

    def test_rust_comments_are_read_and_strings_are_not(self) -> None:
        source = """
//! What it is.
fn f() { // What it does.
    let a = '"'; // Nobody reads it.
    let b = "// What is in a string is no comment.";
    let c = r#"" // Nobody leads."#;
}
/// ```
/// // What is in a block of code is no prose.
/// ```
"""
        self.assertEqual(self.lines("a.rs", source), [2, 3, 4])

    def test_python_comments_and_docstrings_are_read(self) -> None:
        source = '''
def f():
    """It works.

    Nobody asks.
    """
    # What it does.
    return "# Nobody leads."
'''
        self.assertEqual(sorted(self.lines("a.py", source)), [5, 7])

    def test_comments_of_scripts_are_read(self) -> None:
        self.assertEqual(self.lines("run", "#!/usr/bin/env bash\n# What it does.\n"), [2])

    def test_markdown_is_read_without_code(self) -> None:
        source = """
It holds
what it got. What it
sends is lost.

    What it prints.

* Nobody asks.
| a | What it is |
"""
        self.assertEqual(self.lines("a.md", source), [3, 8, 9])

    def test_other_files_are_not_read(self) -> None:
        self.assertEqual(prose.count(Path("a.golden"), "What it is.").words, 0)

    def test_words_count_code_and_links_as_one(self) -> None:
        self.assertEqual(prose.count(Path("a.md"), "See [here](there) and `a b c`.").words, 4)


class Limit(unittest.TestCase):
    def exit_code(self, most: str) -> int:
        """Of a tree of ten words and one hit: 100 per 1,000."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "a.md"
            path.write_text("Nobody leads. The client asks each replica in its turn.\n")
            tracked = mock.patch.object(prose, "_tracked", return_value=[path])
            with tracked, contextlib.redirect_stdout(io.StringIO()) as output:
                code: int = prose.main(["--most", most])
        self.assertIn("    1 hits      10 words  100.0 per 1,000  total\n", output.getvalue())
        return code

    def test_rate_above_the_limit_is_an_error(self) -> None:
        self.assertEqual(self.exit_code("99.9"), 1)

    def test_rate_at_the_limit_is_no_error(self) -> None:
        self.assertEqual(self.exit_code("100"), 0)


if __name__ == "__main__":
    unittest.main()
