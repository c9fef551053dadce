"""The command line: commands by name, loaded when they are used, and errors in three parts."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from platform import libc_ver
from typing import Any

import click

from charter import __version__
from charter.cli.interrupts import hear_interrupts, interrupted
from charter.cli.lazy import LazyGroup
from charter.cli.lines import printable
from charter.cli.output import print_faults
from charter.cli.streams import silence, tell
from charter.errors import CharterError, Fault
from charter.models.threads import wait_asleep

__all__ = ["main"]

_INTERRUPTED = 130

# One visible line a command: name -> module of `charter.cli` and what `charter --help` says.
COMMANDS = {
    "init": ("init", "Write a first recipe and constitution to edit."),
    "check": ("check", "Check constitutions and recipes: every fault at once."),
    "schema": ("schema", "Print the JSON schema of a recipe or constitution."),
    "preview": ("preview", "Run a few prompts and show every step's text."),
    "plan": ("plan", "Count rows, calls, tokens and cost; call nothing."),
    "run": ("run", "Run a recipe: datasets published, models trained."),
    "improve": ("improve", "The rounds: generate, train, judge, evaluate; the best one is kept."),
    "show": ("show", "Show a version, or one row with all behind it."),
    "versions": ("versions", "List the published versions of a repo."),
    "diff": ("diff", "What changed between two versions, row by row."),
    "verify": ("verify", "Check a version's files, counts and rows again."),
    "promote": ("promote", "Make a release from a candidate."),
    "retract": ("retract", "A new version without some rows."),
    "hub": ("hub", "The embedded Hub on loopback."),
    "review": ("review", "People check the AI's labels, in Argilla."),
    "train": ("train", "Train a model from a pinned version."),
    "score": ("score", "Score answers by a reward model."),
    "audit": ("audit", "Measure how far a judge and a constitution can be trusted."),
    "eval": ("evaluate", "Measure a model: refusals, tax, depth, win rates."),
    "report": ("report", "All evaluations of models on one page, and their gates."),
    "guard": ("guard", "The constitution at inference time: flag, refuse or revise."),
    "cache": ("cache", "Count, prune, export, import or repair the paid-for calls."),
}


@click.group(
    cls=LazyGroup,
    lines=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="charter")
def cli() -> None:
    """From a written constitution to versioned alignment datasets and trained models.

    \b
    First steps:
      charter init mine                     a recipe and a constitution to edit
      charter preview mine/recipe.yaml -n 2 what the models write, nothing published
      charter run mine/recipe.yaml          datasets, and models trained from them
    """  # noqa: D301 - \b is click's mark for text that keeps its lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _fill_streams()
    # Libraries set hooks that print all local variables with a traceback, keys among them.
    plain = sys.excepthook
    wait_asleep()
    # Our own progress is enough; whoever wants theirs as well sets these to 0.
    for name in ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    # Arrow's own choice keeps what it once had. The C library's takes every large array anew from
    # the system, which costs time; elsewhere Arrow may lack jemalloc.
    pool = "jemalloc" if libc_ver()[0] == "glibc" else "system"
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", pool)
    # For all threads the same memory: what one has freed another takes, a tenth less in all.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1")
    if not sys.warnoptions and "--debug" not in given:
        # Advice of libraries to their programmers is no advice to our users.
        warnings.simplefilter("ignore")
    try:
        with hear_interrupts():
            sys.exit(_guarded(given))
    finally:
        sys.excepthook = plain


def _fill_streams() -> None:
    """Let a stream that was closed at the start (`>&-`, some daemons) take all and keep nothing.

    Else Python has None there, and the next file that is opened, perhaps the call cache, would be
    what C libraries take for standard output.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _guarded(arguments: list[str]) -> int:
    try:
        result: Any = cli.main(arguments, prog_name="charter", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except CharterError as error:
        if "--debug" in arguments:
            _show_traceback()
        else:
            print_faults(error.faults)
        return _INTERRUPTED if interrupted() else error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        place = context.command_path if context else "charter"
        what, _, fix = error.format_message().rstrip(".").partition("; ")
        print_faults([Fault(place, "", what, fix or f"see `{place} --help`")])
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _told_interrupted()
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        silence(sys.stdout)
        return 1
    except Exception as error:  # noqa: BLE001 - told
        if isinstance(error, OSError) and (full := _stdout_fault(error)) is not None:
            print_faults([full])
            return 1
        if "--debug" in arguments:
            _show_traceback()
            return 1
        if interrupted():  # which a library made something else of
            return _told_interrupted()
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # Asked of the system in many places, and of what a user named in all of them.
            print_faults([Fault(str(error.filename), "", "is too long for a path", "check it")])
            return 2
        what = f"a fault of charter itself: {type(error).__name__}: {error}"
        print_faults([Fault("charter", "", what, "run it again with --debug and report it")])
        return 1


def _show_traceback() -> None:
    """Of the error at hand, which may quote a server or a file: Python would print it raw."""
    tell(printable(traceback.format_exc().rstrip()), err=True)


def _stdout_fault(error: OSError) -> Fault | None:
    """Why standard output takes nothing; None where the error is from elsewhere."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    module = "" if last is None else str(last.tb_frame.f_globals.get("__name__", ""))
    if error.filename is not None or module.partition(".")[0] not in ("click", "rich"):
        return None
    silence(sys.stdout)
    what = f"cannot be written: {error.strerror}"
    return Fault("standard output", "", what, "make room, or send it elsewhere")


def _told_interrupted() -> int:
    print_faults([Fault("charter", "", "interrupted", "run the same command again")])
    return _INTERRUPTED
