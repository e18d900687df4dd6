fn write_four(word: u32, at: u32, have: u32, elements: vec4<u32>) {
    let to = word + at;
    if (have > 0u) {
        set_output(to, elements.x);
    }
    if (have > 1u) {
        set_output(to + 1u, elements.y);
    }
    if (have > 2u) {
        set_output(to + 2u, elements.z);
    }
    if (have > 3u) {
        set_output(to + 3u, elements.w);
    }
}
