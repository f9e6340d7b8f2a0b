"""Alert rules, one each: from which measured value on the operator is told, and what to do."""
