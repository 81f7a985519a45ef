"""What the command line takes and refuses before any work begins."""

import pytest

from PEMMASegmentLib.adaptation.fewshot import EFFORTS
from PEMMASegmentLib.cli import main, options
from PEMMASegmentLib.cli.commands import parser


def read(*arguments: str):
    return parser().parse_args(options.ending_with_values(arguments))


def test_a_box_may_begin_with_a_minus():
    given = read("segment", "study", "--out", "out", "--roi", "-10,20.5,-3,4,-800,-600")
    assert given.roi == (-10, 20.5, -3, 4, -800, -600)
    assert read("segment", "study", "--out", "out", "--roi=-1,1,-1,1,-1,1", "--quiet").roi == (-1, 1, -1, 1, -1, 1)


def test_defaults_are_those_of_the_contract():
    given = vars(read("segment", "one", "two", "--out", "out"))
    expected = {
        "inputs": "auto", "device": "auto", "threshold": None, "roi": None, "whole_study": False, "min_volume": None,
        "segments": "each", "mtv_rule": "41%", "model": None, "adapter": "none",
    }  # fmt: skip
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "study", "--segments", "one"], ["evaluate", "study", "--mtv-rule", "suv4"],  # it tells neither
        ["demo", "--weight-kg", "70"], ["demo", "--ct-series", "1.2.3"],  # its patient lacks nothing
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_would_do_nothing_is_no_option(command, capsys):
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2 and "unrecognized arguments" in capsys.readouterr().err


def test_the_help_tells_the_steps_of_each_effort(capsys):
    with pytest.raises(SystemExit):
        main(["adapt", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ", ".join(f"{effort} {steps}" for effort, steps in EFFORTS.items()) in told


@pytest.mark.parametrize(
    "wrong",
    [
        ["--roi", "1,2,3"], ["--roi", "2,1,0,1,0,1"], ["--roi", "nan,1,0,1,0,1"], ["--roi", "a,b,c,d,e,f"],
        ["--threshold", "0"], ["--threshold", "1e-46"], ["--threshold", "1.5"], ["--threshold", "nan"], ["--min-volume", "-1"],
        ["--weight-kg", "0"], ["--dose-bq", "inf"], ["--injection-time", "12:30"], ["--injection-time", "250000"],
        ["--mtv-rule", "42%"], ["--inputs", "mr"], ["--device", "tpu"], ["--segments", "two"], ["--thresh", "0.5"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_2(wrong, capsys):
    with pytest.raises(SystemExit) as end:
        main(["segment", "study", "--out", "out", *wrong])
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_what_is_no_number_is_told_as_that(capsys):
    for option, value in (("--threshold", "high"), ("--weight-kg", "70kg"), ("--roi", "a,b,c,d,e,f")):
        with pytest.raises(SystemExit):
            main(["segment", "study", "--out", "out", option, value])
        assert "is not a number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "one", "two", "--annotation", "file.dcm"], ["segment", "one", "two", "--out", "out", "--weight-kg", "70"],
        ["evaluate", "one", "two", "--dose-bq", "3e8"], ["cases", "add", "one", "two", "--library", "lib", "--height-m", "1.7"],
        ["adapt", "one", "two", "--out", "out", "--injection-time", "101500"],
        ["adapt", "--library", "lib", "--out", "out", "--pet-series", "1.2.3"],
        *([command, "one", "two", *out, "--roi", "0,1,0,1,0,1"] for command, *out in (["segment", "--out", "out"], ["evaluate"])),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_belongs_to_one_study_goes_with_one(command, capsys):
    """One weight for all patients would give wrong SUVs, one box would cut the next patient's tumour."""
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2 and "goes with one STUDY" in capsys.readouterr().err