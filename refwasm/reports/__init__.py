"""Reports: what commands found, as data (:mod:`refwasm.reports.documents`) and as pages for people
(:mod:`refwasm.reports.pages`)."""
