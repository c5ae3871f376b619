//! What Sticky Connect costs a caller, measured beside other ways of doing it; `docs/performance.md` says how to run it.
