"""The institution file: what is read is checked, and what does not fit is named."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.errors import ConfigurationError
from assistant.institution import Institution, load_institution

SAMPLE = Path(__file__).resolve().parent.parent / "knowledge" / "institution.yaml"
Edit = Callable[[dict[str, Any]], None]


def load_edited(tmp_path: Path, edit: Edit) -> Institution:
    content = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    edit(content)
    path = tmp_path / "institution.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_institution(path)


def test_sample_institution_is_read_as_exact_values() -> None:
    institution = load_institution(SAMPLE)
    assert institution.sample
    assert institution.early_repayment.fee_rate_first_period == Decimal("0.01")
    assert institution.overdue.all_in_annual_cap == Decimal("0.24")
    assert institution.due_time_hours["urgent"] == Decimal("0.5")
    assert institution.products.name("cash_loan", "zh-CN") == institution.products.cash_loan.name.zh
    assert institution.products.name("cash_loan", "en") == institution.products.cash_loan.name.en


def test_keys_of_other_readers_are_left_alone(tmp_path: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["branches"] = ["one"]
        content["products"]["cash_loan"]["colour"] = "green"

    assert load_edited(tmp_path, edit) == load_institution(SAMPLE)


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (lambda content: content["early_repayment"].pop("cutoff"), "early_repayment.cutoff"),
        (lambda content: content["overdue"].update(penalty_multiplier=1.5), "overdue.penalty_multiplier"),
        (lambda content: content["products"]["cash_loan"].update(annual_rate_min="12%"), "cash_loan.annual_rate_min"),
        (lambda content: content["products"]["pay_later"].update(due_day=31), "products.pay_later.due_day"),
        (lambda content: content["business_hours"].update(open="19:00"), "business_hours"),
        (lambda content: content["agent_on_duty"].update(open=540), "agent_on_duty.open"),
        (lambda content: content["due_time_hours"].pop("urgent"), "due_time_hours"),
        (lambda content: content["calculation"].update(rounding="half_even"), "calculation.rounding"),
        (lambda content: content["calculation"]["allocation_order"].pop(), "allocation_order"),
        (lambda content: content["products"]["merchant_loan"].update(min_amount_fen=10**9), "min_amount_fen"),
        (lambda content: content["name"].pop("zh-CN"), "name.zh-CN"),
        (lambda content: content.update(timezone="UTC"), "timezone"),
    ],
)
def test_a_key_that_does_not_fit_is_named(tmp_path: Path, edit: Edit, key: str) -> None:
    with pytest.raises(ConfigurationError, match=key.replace(".", r"\.")):
        load_edited(tmp_path, edit)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        del content["hotline"]
        content["proposal_minutes"] = 0

    with pytest.raises(ConfigurationError, match=r"hotline.*proposal_minutes"):
        load_edited(tmp_path, edit)


def test_missing_file_is_a_configuration_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load_institution(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("content", [b"", b"a: [", b"\xff\xfe\x00", b"- list"])
def test_what_is_not_a_yaml_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "institution.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"institution\.yaml"):
        load_institution(path)
