import re
import sys
from pathlib import Path

import pytest

import sklearn_twolayer
from sklearn_twolayer import __main__ as demonstration


def test_the_smallest_network_learns_xor(capsys):
    losses = demonstration.learn_xor()
    assert losses[-1] < 0.01 < losses[0]
    printed = capsys.readouterr().out
    assert "epoch  10000" in printed
    assert printed.splitlines()[-1].startswith("1 xor 1: probability 0.0")


def test_every_table_is_cross_validated(monkeypatch, capsys):
    wine = {"wine": demonstration.TABLES["wine"]}
    monkeypatch.setattr(demonstration, "TABLES", wine)
    ours = demonstration.cross_validate_all()
    assert list(ours) == ["wine"]
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:4] == "wine"]
    assert rows[0][1] == "TwoLayerClassifier"
    assert rows[0][-1] == "0"
    assert len(rows) == len(demonstration.CONTENDERS["classification"])


def test_draws_the_loss_curves(monkeypatch, tmp_path, capsys):
    picture = tmp_path / "curves.png"
    monkeypatch.setattr(demonstration, "TABLES", {})
    monkeypatch.setattr(sys, "argv", ["sklearn_twolayer", "--plot", str(picture)])
    demonstration.main()
    assert picture.stat().st_size > 1000


def test_says_at_once_that_matplotlib_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sklearn_twolayer", "--plot", "curves.png"])
    monkeypatch.setattr(demonstration, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        demonstration.main()
    assert "pip install matplotlib" in capsys.readouterr().err


def test_says_its_version(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sklearn_twolayer", "--version"])
    with pytest.raises(SystemExit) as ended:
        demonstration.main()
    assert not ended.value.code
    assert capsys.readouterr().out == f"sklearn-twolayer {sklearn_twolayer.__version__}\n"


def test_help_has_the_options_of_the_readme(monkeypatch, capsys):
    readme = Path(__file__).parents[1] / "README.md"
    if not readme.exists():
        pytest.skip("the README is in a checkout only")
    monkeypatch.setattr(sys, "argv", ["sklearn_twolayer", "--help"])
    with pytest.raises(SystemExit):
        demonstration.main()
    shown = capsys.readouterr().out
    named = re.findall(r"`(--[a-z]+[^`]*)`", readme.read_text(encoding="utf-8"))
    assert "--plot FILE.png" in named
    assert not [option for option in named if option not in shown]
