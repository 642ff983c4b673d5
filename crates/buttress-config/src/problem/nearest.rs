/// The name that was probably meant: the one that differs in the fewest letters, if those are few.
pub(crate) fn nearest<'a, N>(given: &str, names: impl IntoIterator<Item = &'a N>) -> Option<&'a str>
where
    N: AsRef<str> + ?Sized + 'a,
{
    // Comparing takes time by the product of the lengths.
    let given = given.get(..given.len().min(LONGEST)).unwrap_or_default();
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', ' '], "_");
    let given = plain(given);
    let distance = |name: &str| strsim::osa_distance(&given, &plain(name));
    let names = names.into_iter().map(AsRef::as_ref);
    let names = names.filter(|name| name.len() <= 2 * LONGEST);
    let nearest = names.map(|name| (distance(name), name)).min()?;
    let (letters, name) = nearest;
    let few = given.len().max(name.len()).div_ceil(3);
    (letters <= few && letters < name.len()).then_some(name)
}

const LONGEST: usize = 64;
