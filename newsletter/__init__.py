"""A newsroom's morning briefing, from text to inbox.

A briefing is *composed* (`compose`) into an edition, *rendered* once (`render`) into a compiled
edition, *checked* (`checks`), *planned* (`plan`) into deliveries, *delivered* (`deliver`) in
batches, *tracked* (`track`) into events, and *reported* (`report`) as figures. `audience` knows
who reads. Each stage imports only what stands before it; `docs/map.md` has the picture.
"""
