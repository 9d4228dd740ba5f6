// The operators that index spaces and vectors have for each of their numbers.
#pragma once

#define REFWASM_OPERATORS(define) \
    define(+) define(-) define(*) define(/) define(%) define(&) define(|) define(^) define(<<) define(>>)
