use super::*;

#[test]
fn spans_cover_what_is_written() {
    let text = "a:\n  b: 1\n  c:\n    - x\n    -\n  d:\ne: {x: [1, \"é\"]}\n";
    let tree = Tree::parse(text);
    let root = tree.root().unwrap();
    let a = root.get("a").unwrap();
    assert_eq!(a.span().of(text), "b: 1\n  c:\n    - x\n    -\n  d");
    assert_eq!(a.get("c").unwrap().span().of(text), "- x\n    -");
    assert_eq!(root.get("e").unwrap().span().of(text), "{x: [1, \"é\"]}");
    assert_eq!(root.get("e").unwrap().get("x").unwrap().items().len(), 2);
}
