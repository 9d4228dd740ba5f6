"""Structure (specification, chapter 2): data, frozen, without behaviour."""
