"""The adapters' page of the background process, and an adapter whose weights are merged once for many studies."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from PEMMASegmentLib.adapters import AdapterCard, attach, choose, collect, method, read_card, save, trained
from PEMMASegmentLib.core import PemmaError, no_progress
from PEMMASegmentLib.network.files import load_model
from PEMMASegmentLib.worker.adapters import adapters
from PEMMASegmentLib.worker.commands import segment
from PEMMASegmentLib.worker.warm import WarmModel


@pytest.fixture
def made(model, tmp_path) -> Path:
    """LoRA on the last layer of the fused path, far from zero, and a threshold."""
    base = load_model(model)
    example = {name: torch.zeros(1, 1, 16, 16, 16) for name in ("ct", "pet")}
    targets, how = choose(base.net, "*out.*,*decoder2*", example), method("lora", rank=1)
    attach(base.net, how, targets)
    with torch.no_grad():
        for parameter in trained(base.net).values():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    card = AdapterCard("site-a", "1", how, "out", targets, base.identity, "ct+pet", threshold=0.45, min_volume_ml=1.5)
    save(tmp_path / "made", collect(base.net), card)
    return tmp_path / "made"


def ask(action: str, **fields) -> list[dict]:
    return adapters({"action": action, **fields}, no_progress)["adapters"]


def test_the_page_of_adapters(made, home, tmp_path):
    [row] = ask("import", source=str(made))
    assert row["name"] == "site-a" and row["check"] == "ok" and Path(row["folder"]).parent == home / "adapters"
    [row] = ask("note", source="site-a", text="for the new scanner")
    assert row["note"] == "for the new scanner"
    [row] = ask("rename", source="site-a", text="site-b")
    assert row["name"] == "site-b" and read_card(row["folder"]).name == "site-b"
    ask("export", source="site-b", target=str(tmp_path / "b.zip"))
    assert ask("remove", source="site-b") == []
    [row] = ask("import", source=str(tmp_path / "b.zip"))
    assert row["note"] == "for the new scanner"
    for wrong, code in (({"action": "burn"}, "bad-request"), ({"action": "remove", "source": str(made)}, "adapter-foreign"),
                        ({"action": "rename", "source": "site-b", "text": "../x"}, "adapter-name"),
                        ({"action": "rename", "source": "site-b", "text": "nul"}, "adapter-name"),
                        ({"action": "rename", "source": "site-b", "text": "Doe_19610403"}, "adapter-identity")):  # fmt: skip
        with pytest.raises(PemmaError, match=code):
            adapters(wrong, no_progress)
    (home / "adapters" / "site-b" / "adapter.safetensors").write_bytes(b"damaged")
    [row] = ask("list")
    assert "[adapter-hash]" in row["check"] and row["name"] == "site-b"


def test_an_adapter_is_merged_once_and_again_when_it_changed(made, model, home):
    ask("import", source=str(made))
    warm = WarmModel()
    base = warm.get(str(model))
    first = warm.adapter("site-a", base)
    assert warm.adapter("site-a", base) is first and first.merged(base.net) is not base.net
    assert warm.adapter(str(made), base) is first  # the same one by its path
    assert warm.adapter("none", base) is None
    changed = replace(read_card(made), threshold=0.3)
    (made / "adapter.json").unlink()
    save(made, first.tensors, changed)
    assert warm.adapter(str(made), base).card.threshold == 0.3


def test_a_segmentation_by_name_twice_gives_the_same_and_none_gives_the_base(made, model, study, home, tmp_path):
    ask("import", source=str(made))
    warm, found = WarmModel(), []
    for name in ("site-a", "site-a", "none"):
        folder = tmp_path / f"private {len(found)}"
        folder.mkdir()
        request = {"folder": str(folder), "study": str(study), "model": str(model), "adapter": name, "device": "cpu",
                   "roi": [50.0, 90.0, 50.0, 90.0, 30.0, 70.0]}  # fmt: skip
        found.append(segment(request, no_progress, warm))
    first, again, base = found
    assert first["adapter"]["name"] == "site-a" and first["adapter_parts"][-2:] == ["threshold 0.45", "smallest volume 1.5 ml"]
    assert (first["min_volume_ml"], base["min_volume_ml"]) == (1.5, 0.5)  # the panel counts by what acted
    assert first["lesions"] == again["lesions"] and first["totals"] != base["totals"]
    assert base["adapter"] is None and base["threshold"] == 0.4
