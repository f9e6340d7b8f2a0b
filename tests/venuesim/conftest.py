"""What the tests of simulated venues share."""
