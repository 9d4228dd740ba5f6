"""WebAssembly's relaxed memory model: the final states that it allows (threads proposal, "Relaxed Memory Model"; C.
Watt, A. Rossberg, J. Pichon-Pharabod: "Weakening WebAssembly", OOPSLA 2019)."""
