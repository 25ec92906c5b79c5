import sys

import pytest

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
