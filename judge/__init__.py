"""The judge: runs the service among faults, and proves that no order was doubled or lost."""
