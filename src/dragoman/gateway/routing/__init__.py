"""Who answers: the order of targets, what is tried after a failure, and how targets are doing."""
