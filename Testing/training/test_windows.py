"""Training windows: cuts keep the tumour and nothing of its place, windows are padded as in use, augmentation keeps sense."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Label
from PEMMASegmentLib.study.types import PetCtStudy
from PEMMASegmentLib.training.augment import Augmentation, _pose, sample
from PEMMASegmentLib.training.case import TrainingCase
from PEMMASegmentLib.training.config import Config, Stage
from PEMMASegmentLib.training.windows import cut_study, draw, random_cut, window_start

P = Preprocessing()
A = Architecture((16, 16, 16), 8, 32, 2, 4, 64, 16, embedding="stem", taps=(), modalities=("pet",))
CONFIG = Config("tiny", "1", A, P, (), (Label(1, "Neoplasm", "49755003", "108369006"),), "a test", ("ball",), foreground=1.0)
STAGE = Stage("pet", 1, whole=0.3, anywhere=0.3)


#: Flips alone.
STILL = replace(Augmentation(), pose=0.0, misalignment_mm=0.0, intensity=0.0, quality=0.0, foreign=0.0)


def ball(shape=(30, 26, 28), radius=6) -> TrainingCase:
    z, y, x = np.indices(shape)
    centre = [n / 2 for n in shape]
    label = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
    t = torch.from_numpy(label.astype(np.float32))
    return TrainingCase("ball", t * 200 - 100, t * 6 + 0.5, t)


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_a_cut_keeps_the_whole_tumour_unless_asked_otherwise_and_a_window_lies_in_it(seed):
    case, rng = ball(), np.random.default_rng(seed)
    whole, anywhere = rng.choice([0.0, 0.4]), rng.choice([0.0, 0.4])
    cut = random_cut(tuple(case.label.shape), case.box, rng, whole, anywhere)
    if not anywhere:
        assert (cut[:, 0] <= case.box[:, 0]).all() and (cut[:, 1] >= case.box[:, 1]).all()
    assert (cut >= 0).all() and (cut[:, 1] <= case.label.shape).all() and (cut[:, 0] < cut[:, 1]).all()
    start = window_start(cut, case.label, A.window, 1.0, rng)
    for (low, high), s, n in zip(cut, start, A.window, strict=True):
        inside = s <= low and s + n >= high if high - low <= n else low <= s and s + n <= high
        assert inside


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(-30, 30))
def test_a_cut_study_keeps_tumour_and_place(seed, hundredths):
    angle = hundredths / 100
    ct = sitk.GetImageFromArray(ball().label.numpy())
    ct.SetDirection([np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1])
    ct.SetOrigin((-100, 20, 7))
    pet = sitk.Resample(ct, (15, 14, 16), sitk.Transform(), sitk.sitkLinear, ct.GetOrigin(), (2, 2, 2), ct.GetDirection())
    study, label = cut_study(PetCtStudy(ct, pet), ct, np.random.default_rng(seed))
    assert sitk.GetArrayViewFromImage(label).sum() == sitk.GetArrayViewFromImage(ct).sum()
    assert study.ct.GetSize() == label.GetSize() and study.ct.GetOrigin() == label.GetOrigin()
    back = sitk.Resample(study.pet, pet, sitk.Transform(), sitk.sitkNearestNeighbor)
    kept = sitk.GetArrayViewFromImage(back)
    assert np.array_equal(kept[kept > 0], sitk.GetArrayViewFromImage(pet)[kept > 0])


def test_without_augmentation_a_window_is_the_case_padded_with_air_and_no_uptake():
    case = ball()
    cut = np.array([[8, 24], [5, 20], [3, 28]])
    images, label = sample(case, cut, np.array([6, 5, 10]), A.window, P, ("ct", "pet"), None, np.random.default_rng(0))
    want = torch.zeros(16, 16, 16)
    want[2:, :15, :16] = case.label[8:22, 5:20, 10:26]
    assert torch.equal(label[0], want)
    assert float(images["ct"][0, 0].max()) == -1.0 and float(images["pet"][0, 0].max()) == 0.0
    hot = torch.asinh(torch.tensor(6.5 / 2)) / 2
    torch.testing.assert_close(images["pet"][0][want > 0].min(), hot, atol=1e-4, rtol=1e-4)


def test_augmented_windows_are_finite_in_range_and_still_show_the_tumour():
    case, rng = ball(radius=7), np.random.default_rng(3)
    for _ in range(40):
        images, label = draw([case], CONFIG, STAGE, ("ct", "pet"), Augmentation(), rng)
        assert images["ct"].abs().max() <= 1 and torch.isfinite(images["pet"]).all() and images["pet"].min() >= 0
        assert set(label.unique().tolist()) <= {0.0, 1.0}
        tumour = label > 0
        if 50 < tumour.sum() < 3000:
            assert images["pet"][tumour].mean() > images["pet"][~tumour].mean()


def test_a_cut_keeps_half_of_each_margin_on_average():
    shape, box = np.array([60, 50, 40]), np.array([[20, 25], [10, 30], [15, 18]])
    cuts = np.stack([random_cut(tuple(shape), box, np.random.default_rng(seed)) for seed in range(200)])
    kept = np.stack([(box[:, 0] - cuts[..., 0]) / box[:, 0], (cuts[..., 1] - box[:, 1]) / (shape - box[:, 1])])
    assert ((kept.mean(1) > 0.4) & (kept.mean(1) < 0.6)).all() and kept.min() < 0.1 and kept.max() > 0.9


def test_as_many_windows_as_asked_for_are_drawn_at_the_tumour():
    label = torch.zeros(60, 60, 60)
    label[30, 20, 40] = 1
    cut = np.array([[0, 60]] * 3)

    def share(foreground):
        starts = [window_start(cut, label, A.window, foreground, np.random.default_rng(seed)) for seed in range(200)]
        return np.mean([bool(label[z : z + 16, y : y + 16, x : x + 16].any()) for z, y, x in starts])

    assert share(1.0) == 1.0 and share(0.0) < 0.2 and 0.6 < share(0.7) < 0.85


def windows_of_a_slab(how, count):
    """A slab off the middle under an augmentation: where its PET and its label lie in each window, and the highest SUV."""
    label = torch.zeros(40, 40, 40)
    label[16:22, 18:30, 20:24] = 1
    case = TrainingCase("slab", label * 200 - 100, label * 6 + 0.5, label)
    for seed in range(count):
        images, found = sample(case, np.array([[0, 40]] * 3), np.array([6, 8, 8]), (28, 28, 28), P, ("ct", "pet"), how,
                               np.random.default_rng(seed))
        suv = P.pet_scale * torch.sinh(images["pet"] * P.pet_scale)
        yield (suv > suv.max() / 2)[0].numpy(), found[0].numpy() > 0, float(suv.max())


def test_the_pet_is_turned_with_its_label_and_shifted_against_it_by_as_much_as_asked():
    middle = lambda mask: np.argwhere(mask).mean(0) * 4.0  # noqa: E731, mm
    for hot, label, _ in windows_of_a_slab(replace(STILL, pose=1.0, angle=40.0, misalignment_mm=0.1), 20):
        assert (hot != label).sum() < 0.15 * label.sum()
    moved = windows_of_a_slab(replace(STILL, misalignment_mm=24.0), 60)
    shifts = np.stack([middle(hot) - middle(label) for hot, label, _ in moved])
    assert (abs(shifts.std(0) - 8.0) < 2.0).all() and (abs(shifts.mean(0)) < 3.0).all()


def test_tumours_are_shrunk_and_grown_by_as_much_as_asked():
    def volumes(**changes):
        how = replace(STILL, pose=1.0, angle=0.0, **changes)
        return np.array([label.sum() for _, label, _ in windows_of_a_slab(how, 40)]) / (6 * 12 * 4)

    assert volumes(grown=0.0, shrunk=0.6).mean() < 0.6 and volumes(grown=0.0, shrunk=0.6).max() <= 1.05
    assert volumes(grown=0.3, shrunk=0.0).mean() > 1.3 and volumes(grown=0.3, shrunk=0.0).min() >= 0.95


def test_the_uptake_is_scaled_by_the_gain_asked_for():
    gains = np.log([highest / 6.5 for _, _, highest in windows_of_a_slab(replace(STILL, intensity=1.0, pet_gain=0.3), 100)])
    assert abs(gains.std() - 0.3) < 0.07 and abs(gains.mean()) < 0.1


def test_a_turn_keeps_lengths_in_millimetres_and_an_isotropic_grid_its_bits():
    def pose(spacing):
        return _pose(replace(Augmentation(), pose=1.0, grown=0.0, shrunk=0.0), spacing, np.random.default_rng(4))

    assert np.array_equal(pose((4.1, 4.1, 4.1)), pose((1.0, 1.0, 1.0)))
    spacing = np.array([3.0, 1.0, 1.5])  # z, y, x
    turn = spacing[:, None] * pose(spacing) / spacing  # on millimetres
    assert abs(turn - np.eye(3)).max() > 0.05
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn, pose((1.0, 1.0, 1.0)), atol=1e-12)


def test_foreign_tissue_comes_into_a_ct_beside_a_pet_and_nowhere_else():
    def windows(share, inputs):
        how = replace(Augmentation(), foreign=share)
        cases = [ball(radius=4), ball(radius=8)]
        return [draw(cases, CONFIG, STAGE, inputs, how, np.random.default_rng([9, n])) for n in range(20)]

    changed = 0
    for (own, label), (mixed, same) in zip(windows(0.0, ("ct", "pet")), windows(1.0, ("ct", "pet")), strict=True):
        assert torch.equal(own["pet"], mixed["pet"]) and torch.equal(label, same) and mixed["ct"].abs().max() <= 1
        changed += not torch.equal(own["ct"], mixed["ct"])
    assert changed > 15
    for (own, _), (mixed, _) in zip(windows(0.0, ("ct",)), windows(1.0, ("ct",)), strict=True):
        assert torch.equal(own["ct"], mixed["ct"])


def test_the_same_generator_draws_the_same_window():
    one, two = (draw([ball()], CONFIG, STAGE, ("ct", "pet"), Augmentation(), np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(one[0][m], two[0][m]) for m in one[0]) and torch.equal(one[1], two[1])


def test_a_case_without_a_tumour_is_cut_anywhere_as_one_with_a_tumour_is_when_asked():
    case = replace(ball(), label=torch.zeros(30, 26, 28))
    one, two = (random_cut((30, 26, 28), box, np.random.default_rng(6), 0.0, share) for box, share in
                ((case.box, 0.01), (ball().box, 1.0)))
    assert case.box is None and np.array_equal(one, two)
    _, label = draw([case], CONFIG, replace(STAGE, whole=0.0, anywhere=0.0), ("ct", "pet"), Augmentation(),
                    np.random.default_rng(6))
    assert not label.any()
