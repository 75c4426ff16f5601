"""The rules by which refusals are classified, in their order."""

from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from mailroom.adapters.settings import load_config_file, load_settings
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, show
from mailroom.models.outbound.bounces import RULES, BounceRule, classify
from mailroom.models.outbound.replies import reply_in


def show_meaning(reply: str, output: Output) -> None:
    found = classify(reply_in(reply, datetime.now(UTC)), reply, _own())
    if output is Output.JSON:
        print_json(found.model_dump(mode="json"))
        return
    gets = " The recipient gets no more mail." if found.suppresses else ""
    answer(f"{found.type}, {found.category}: {found.why}{gets}")


def show_rules(output: Output) -> None:
    own = _own()
    rules = (*own, *RULES)
    if output is Output.JSON:
        print_json([rule.model_dump(mode="json", exclude_defaults=True) for rule in rules])
    else:
        show(_table(rules, len(own)))


def _own() -> tuple[BounceRule, ...]:
    return load_config_file(load_settings().mailroom_config).outbound.bounces


def _table(rules: tuple[BounceRule, ...], own: int) -> Table:
    table = plain_table("#", "type", "category", "suppresses", "where", "when")
    for number, rule in enumerate(rules, 1):
        where = "mailroom.toml" if number <= own else ""
        suppresses = "yes" if rule.suppresses else ""
        cells = (str(number), rule.type.value, rule.category, suppresses, where, _when(rule))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _when(rule: BounceRule) -> str:
    known = {"code": rule.code, "enhanced": rule.enhanced, "text": rule.text}
    return "; ".join(
        f"{name} {' | '.join(value or 'none' for value in values)}"
        for name, values in known.items()
        if values
    )
