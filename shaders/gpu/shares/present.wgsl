// Adds the groups' shares to the term sum.

fn begin_shares(thread: u32) {
    if (thread < WORDS) {
        atomicStore(&limbs[thread], 0u);
    }
    workgroupBarrier();
}

fn add_share(found: Found) {
    add_f32(TERMS, found.share, found.exponent);
}

fn end_shares(thread: u32, segment: u32) {
    workgroupBarrier();
    if (thread >= TERMS && thread < WORDS) {
        add_result((segment + 1u) * WORDS + thread, atomicLoad(&limbs[thread]));
    }
}
