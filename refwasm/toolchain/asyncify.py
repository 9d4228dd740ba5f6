def asyncify(*a): raise NotImplementedError
