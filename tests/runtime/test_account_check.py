"""When an account is quiet enough that its balances can be compared."""

import pytest

from tests.makers import START
from tradefleet.domain.order import CancelState, OrderState
from tradefleet.domain.values import changed
from tradefleet.engine.bot_engine import BLANK
from tradefleet.runtime.account_check import is_at_rest

AT_REST = {
    (OrderState.CREATED, CancelState.NONE),
    (OrderState.OPEN, CancelState.NONE),
    # It is not there, so there is nothing to take back; or its account were never compared again.
    *((OrderState.ABSENT, cancel) for cancel in CancelState),
}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("cancel", CancelState)
def test_only_what_may_still_move_money_keeps_balances_from_being_compared(state, cancel):
    if state in (OrderState.DONE, OrderState.REJECTED, OrderState.VOID):
        return  # nobody works on these
    order = changed(BLANK, state=state, cancel=cancel, sent_at=START)
    assert is_at_rest(order) is ((state, cancel) in AT_REST)
