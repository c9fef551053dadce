"""What `charter show` prints of people's answers: in terms of the row beside them."""

from __future__ import annotations

import pytest
from answered import answer, name_of
from drafts import draft

from charter.cli.main import main
from charter.hub import open_version, publish_local
from charter.review.publish import publish_reviews


def test_answers_are_said_of_the_row_as_it_stands(tmp_path, capsys):
    store = tmp_path / "store"
    version = open_version(publish_local(draft(), store).path)
    people = dict.fromkeys(("ann", "bob", "fay"), "REJECTED") | {"cyd": "CHOSEN", "dan": "TIE"}
    checks = [
        answer(version, "p6#a~b", who, verdict, first="rejected" if who == "bob" else "chosen")
        for who, verdict in people.items()
    ]
    checks += [
        # On other texts: it does not count, and is said to be so
        answer(version, "p6#a~b", "eve", "CHOSEN", texts="0" * 64),
        answer(version, "p6#sft", "ann", "WORSE"),
        answer(version, "p6#sft", "eve", "BETTER", texts="0" * 64),
    ]
    done = publish_reviews(version, checks, store=store)
    assert done.outcomes == {"TURNED": 1}

    def said(row):
        with pytest.raises(SystemExit) as code:
            main(["show", f"me/small@{done.tag}", row, "--store", str(store)])
        assert code.value.code == 0
        lines = capsys.readouterr().out.splitlines()
        return {
            who: " ".join(line.split()[1:])
            for who in (*people, "eve")
            for line in lines
            if name_of(who)[:12] in line
        }

    assert said("p6#a~b") == {
        **{"ann": "CHOSEN", "bob": "CHOSEN", "fay": "CHOSEN"},
        **{"cyd": "REJECTED", "dan": "TIE"},
        "eve": "CHOSEN, of other texts",
    }
    assert said("p6#sft") == {"ann": "WORSE", "eve": "BETTER, of other texts"}
