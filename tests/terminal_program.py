"""A program as agents' are: raw keys, an input in a box at the bottom, what was said above it.

    terminal_program.py RECORD [--ignore N] [--break N] [--hide-cursor] [--silent]

It takes ^U and Enter for keys and all else for text. `--ignore`: so many Enters do nothing (-1:
all of them); `--break`: so many are line breaks.
"""

import argparse
import codecs
import os
import sys
import textwrap
import tty
from pathlib import Path

ENTER, KILL = "\r", "\x15"


class Program:
    def __init__(self, options: argparse.Namespace) -> None:
        self.record: Path = options.record
        self.record.touch()
        self.ignored: int = options.ignore
        self.breaks: int = options.breaks
        self.hides: bool = options.hide_cursor
        self.silent: bool = options.silent
        self.said: list[str] = []
        self.input = [""]

    def key(self, key: str) -> None:
        if key == KILL:
            self.input[-1] = ""
        elif key != ENTER:
            self.input[-1] += key
        elif self.ignored:
            self.ignored -= 1
        elif self.breaks:
            self.breaks -= 1
            self.input.append("")
        elif any(self.input):
            self.submit("\\n".join(self.input))

    def submit(self, text: str) -> None:
        with self.record.open("a") as out:
            out.write(text + "\n")
        self.said.append(text)
        self.input = [""]

    def draw(self) -> None:
        """As Ink does it: everything anew."""
        columns, lines = os.get_terminal_size()
        inner = columns - 6
        rows = [row for each in self.input for row in textwrap.wrap(each, inner) or [""]]
        shown = [] if self.silent else rows
        prompts = ["> " if n == 0 else "  " for n in range(len(shown))]
        box = [f"│ {prompt}{row:<{inner}} │" for prompt, row in zip(prompts, shown, strict=True)]
        above = [row for each in self.said for row in textwrap.wrap(f"> {each}", columns)]
        bottom = [f"╭{'─' * (columns - 2)}╮", *box, f"╰{'─' * (columns - 2)}╯", "  ? for help"]
        screen = ["", *above, ""][-(lines - len(bottom)) :] + bottom
        put = "\x1b[?25l\x1b[H\x1b[2J" + "\r\n".join(screen)
        if not self.hides:
            row = len(screen) - 2
            put += f"\x1b[{row};{len(rows[-1]) + 5}H\x1b[?25h"
        sys.stdout.write(put)
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("record", type=Path)
    parser.add_argument("--ignore", type=int, default=0)
    parser.add_argument("--break", dest="breaks", type=int, default=0)
    parser.add_argument("--hide-cursor", action="store_true")
    parser.add_argument("--silent", action="store_true")
    program = Program(parser.parse_args())
    tty.setraw(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    program.draw()
    while data := os.read(0, 4096):
        for key in decoder.decode(data):
            program.key(key)
        program.draw()


if __name__ == "__main__":
    main()
