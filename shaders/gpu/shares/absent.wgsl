// The value is not asked for.

fn begin_shares(thread: u32) {}

fn add_share(found: Found) {}

fn end_shares(thread: u32, segment: u32) {}
