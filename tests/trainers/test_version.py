"""Training from a version as the hub publishes and opens it, not from a stand-in."""

from pathlib import Path

from charter.rows import digest
from charter.trainers import read_settings
from charter.trainers.train import train


def test_a_published_version_is_trained_on(version, tiny_model, place, tmp_path, capfd):
    values = {"max_steps": 2, "per_device_train_batch_size": 4}
    result = train(
        read_settings("sft", version, place / "out", model=str(tiny_model), values=values)
    )
    assert capfd.readouterr() == ("", "")
    assert (result.metrics["rows"], result.metrics["test_rows"]) == (7, 1)
    card = (result.model / "README.md").read_text()
    assert f"The config `sft` of `me/tiny` at `{version.tag}`: 7 rows of `train`" in card
    assert digest("recipe") in card
    # What TRL tokenised is not left in the cache of `datasets` beside the rows.
    arrows = [p.name for p in Path(tmp_path / "datasets").rglob("*.arrow")]
    assert arrows and not any(name.startswith("cache-") for name in arrows)
