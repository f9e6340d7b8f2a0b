"""What every command owes the fronts: what it says of itself for buttons and pages holds."""

from dataclasses import fields

import pytest

from tests.contract.test_every_command import COMMANDS, every_command, service
from tests.doors import Door, trade
from tradefleet.command import FIRST_PAIRS, FIRST_STEPS, START_ALL, STATUS, AnyCommand, Step
from tradefleet.dispatcher import name_and_words, read_request
from tradefleet.domain.errors import Refused
from tradefleet.identity import LinkUse

LINKED = (*FIRST_STEPS, *FIRST_PAIRS, START_ALL, STATUS)


@every_command
def test_what_is_asked_again_by_a_button_changes_nothing(command: AnyCommand):
    if command.refreshes:
        assert not command.changes
        assert not command.takes_secrets
        assert not command.dangerous


@every_command
def test_a_list_that_is_paged_has_a_limit_to_ask_for(command: AnyCommand):
    if command.limit_max:
        assert command.refreshes
        (limit,) = [each for each in fields(command.request) if each.name == "limit"]
        assert 0 < limit.default <= command.limit_max


@every_command
async def test_the_entries_of_a_list_stand_in_its_text_and_older_ones_are_asked_for(command):
    door = await service()
    await trade(door)
    try:
        reply = await door.ask(command.example)
    except Refused:
        return
    assert "\n".join(reply.items) in reply.text
    if reply.older:
        read_request(command, [*name_and_words(command.example)[1], reply.older])
    for step in reply.steps:
        check(door, step)


@pytest.mark.parametrize("step", LINKED, ids=lambda step: step.message)
def test_the_steps_that_are_offered_are_commands(step: Step):
    check(Door(), step)


def check(door: Door, step: Step) -> None:
    name, words = name_and_words(step.message)
    command = door.dispatcher.find(name)
    assert command is not None, step
    read_request(command, words)
    assert len(step.label) <= 40
    assert len(step.message.encode()) <= 50  # or a button could not carry it


def test_one_command_takes_what_is_typed_on_the_page_for_keys():
    assert [command.name for command in COMMANDS if command.form] == ["connect"]
    (command,) = [command for command in COMMANDS if command.form is LinkUse.CONNECT]
    assert {"exchange", "api_key", "api_secret"} <= {f.name for f in fields(command.request)}
