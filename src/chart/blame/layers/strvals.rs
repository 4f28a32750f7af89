//! Helm's grammar of `--set`: `a.b[0].c=value,d={x,y}`. Only paths are of interest here, and whether it can be read.

/// An argument that Helm cannot read either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::blame) struct Unreadable;

/// The largest index that Helm takes.
const MAX_INDEX: usize = 65_536;

/// The paths that an argument sets, in order; indexes are steps of digits.
pub(in crate::blame) fn parse(expression: &str) -> Result<Vec<Vec<String>>, Unreadable> {
    let mut reader = Reader { rest: expression };
    let mut paths = Vec::new();
    while !reader.rest.is_empty() {
        let path = reader.key()?;
        reader.value()?;
        let descends = |earlier: &Vec<String>| path.len() > earlier.len() && path.starts_with(earlier);
        // `a=x,a.b=1` asks for a key inside of a text.
        if paths.iter().any(descends) {
            return Err(Unreadable);
        }
        paths.push(path);
    }
    Ok(paths)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// A path up to its `=`.
    fn key(&mut self) -> Result<Vec<String>, Unreadable> {
        let mut path = Vec::new();
        let mut step = String::new();
        loop {
            match self.next() {
                Some('\\') => step.extend(self.next()),
                Some('=') => {
                    if !step.is_empty() || path.is_empty() {
                        path.push(step);
                    }
                    return Ok(path);
                }
                Some('.') => {
                    if !step.is_empty() {
                        path.push(std::mem::take(&mut step));
                    }
                }
                Some('[') => {
                    if !step.is_empty() {
                        path.push(std::mem::take(&mut step));
                    }
                    path.push(self.index()?);
                }
                // A key without a value: `a,b=1`, or the end.
                Some(',') | None => return Err(Unreadable),
                Some(other) => step.push(other),
            }
        }
    }

    fn index(&mut self) -> Result<String, Unreadable> {
        let (index, rest) = self.rest.split_once(']').ok_or(Unreadable)?;
        let number: usize = index.parse().map_err(|_| Unreadable)?;
        self.rest = rest;
        if number > MAX_INDEX { Err(Unreadable) } else { Ok(number.to_string()) }
    }

    /// A value up to its comma.
    fn value(&mut self) -> Result<(), Unreadable> {
        let is_list = self.rest.starts_with('{');
        let mut closed = false;
        while let Some(next) = self.next() {
            match next {
                '\\' => drop(self.next()),
                '}' if is_list => closed = true,
                ',' if !is_list || closed => return Ok(()),
                _ => {}
            }
        }
        if is_list && !closed { Err(Unreadable) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(expression: &str) -> Vec<String> {
        parse(expression).unwrap().iter().map(|path| path.join("/")).collect()
    }

    #[test]
    fn paths_are_read_as_helm_does() {
        assert_eq!(paths("image.tag=1.27"), ["image/tag"]);
        assert_eq!(paths("a[0].b=1,c={x,y},d=e\\,f"), ["a/0/b", "c", "d"]);
        assert_eq!(paths("node\\.kubernetes\\.io/x=1"), ["node.kubernetes.io/x"]);
        assert_eq!(paths("a="), ["a"]);
        assert_eq!(paths("=1"), [""]);
        assert!(paths("").is_empty());
    }

    #[test]
    fn what_helm_refuses_is_refused() {
        for expression in
            ["image", "a,b=1", "a[x]=1", "a[-1]=1", "a[99999999]=1", "a[0=1", "a={x", "a=x,a.b=1"]
        {
            assert_eq!(parse(expression), Err(Unreadable), "{expression}");
        }
    }
}
