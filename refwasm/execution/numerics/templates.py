"""Python expressions for the commonest operations, which tiers write in line instead of calling the function.

``a`` and ``b`` are the operands (in range, evaluated more than once). A test compares each template with
``OPERATIONS[mnemonic]`` on edge values and random ones. Operations that trap, and rare ones, have no template.
"""

from __future__ import annotations


def _integer_templates(n: int) -> dict[str, str]:
    mask, half = f"0x{(1 << n) - 1:X}", f"0x{1 << (n - 1):X}"
    modulo, top = n - 1, n
    plain = {
        "add": f"(a + b) & {mask}",
        "sub": f"(a - b) & {mask}",
        "mul": f"(a * b) & {mask}",
        "and": "a & b",
        "or": "a | b",
        "xor": "a ^ b",
        "shl": f"(a << (b & {modulo})) & {mask}",
        "shr_u": f"a >> (b & {modulo})",
        "shr_s": f"(a if a < {half} else a - {1 << n}) >> (b & {modulo}) & {mask}",
        "rotl": f"(a << (b & {modulo}) | a >> ({top} - (b & {modulo}))) & {mask}",
        "rotr": f"(a >> (b & {modulo}) | a << ({top} - (b & {modulo}))) & {mask}",
        "clz": f"{n} - a.bit_length()",
        "ctz": f"(a & -a).bit_length() - 1 if a else {n}",
        "popcnt": "a.bit_count()",
        "eqz": "0 if a else 1",
    }
    for name, operator in {"eq": "==", "ne": "!="}.items():
        plain[name] = f"1 if a {operator} b else 0"
    for name, operator in {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}.items():
        plain[f"{name}_u"] = f"1 if a {operator} b else 0"
        plain[f"{name}_s"] = f"1 if (a ^ {half}) {operator} (b ^ {half}) else 0"
    for bits in (8, 16, 32):
        if bits < n:
            sign = 1 << (bits - 1)
            plain[f"extend{bits}_s"] = f"((a & {(1 << bits) - 1} ^ {sign}) - {sign}) & {mask}"
    return {f"i{n}.{name}": expression for name, expression in plain.items()}


TEMPLATES: dict[str, str] = {
    **_integer_templates(32),
    **_integer_templates(64),
    "i32.wrap_i64": "a & 0xFFFFFFFF",
    "i64.extend_i32_u": "a",
    "i64.extend_i32_s": "a if a < 0x80000000 else a | 0xFFFFFFFF00000000",
    **dict.fromkeys(("i32.reinterpret_f32", "i64.reinterpret_f64", "f32.reinterpret_i32", "f64.reinterpret_i64"), "a"),
    "f32.neg": "a ^ 0x80000000",
    "f64.neg": "a ^ 0x8000000000000000",
    "f32.abs": "a & 0x7FFFFFFF",
    "f64.abs": "a & 0x7FFFFFFFFFFFFFFF",
    "v128.and": "a & b",
    "v128.or": "a | b",
    "v128.xor": "a ^ b",
}
