"""What the tests share: the real servers, the program under test, records, and how rows compare."""
