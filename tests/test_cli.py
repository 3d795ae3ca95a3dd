import pytest

from casher_bringup.cli import COMMANDS, as_flags, find, main


def test_no_arguments_and_help_list_every_command(capsys):
    for argv in ([], ["--help"]):
        assert main(argv) == 0
        printed = capsys.readouterr().out
        assert all(f"casher {words}" in printed for words in COMMANDS)


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    assert main(["evaluate"]) == 2
    printed = capsys.readouterr().err
    assert "evaluate" in printed and "casher eval" in printed


def test_a_word_that_begins_commands_lists_those(capsys):
    assert main(["twin", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "casher twin check" in printed and "casher judge" not in printed
    assert main(["twin", "look"]) == 2
    printed = capsys.readouterr().err
    assert "'twin look'" in printed and "casher twin show" in printed and "casher judge" not in printed


def test_commands_of_two_words_are_found():
    assert find(["bag", "recover", "x"]) == ("bag recover", ["x"])
    assert find(["eval", "--episodes", "3"]) == ("eval", ["--episodes", "3"])
    assert find(["bag"]) is None
    assert find(["eval", "episodes:=3"]) == ("eval", ["episodes:=3"])


@pytest.mark.parametrize(("argv", "known"), [("eval techer x", "eval teacher"), ("train techer", "train teacher")])
def test_a_misspelled_second_word_is_refused_with_those_there_are(argv, known, capsys):
    assert main(argv.split()) == 2
    printed = capsys.readouterr().err
    assert f"unknown command '{' '.join(argv.split()[:2])}'" in printed and f"casher {known}" in printed


def test_launch_style_arguments_mean_the_same_as_flags():
    assert as_flags(["robot:=sim", "viewer:=true", "episodes:=3"]) == ["--robot", "sim", "--viewer", "--episodes", "3"]
    assert as_flags(["viewer:=false", "--out", "a:=b c"]) == ["--no-viewer", "--out", "--a", "b c"]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help_that_describes_its_arguments(words, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words.split(), "--help"])
    assert end.value.code == 0
    assert f"casher {words}" in capsys.readouterr().out


def test_an_interrupt_before_anything_runs_is_no_traceback(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("casher_bringup.cli._run", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "casher: interrupted\n"
