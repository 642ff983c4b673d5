use super::*;
use http::HeaderValue;
use http_body_util::StreamBody;
use proptest::prelude::*;

type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

fn body(frames: Frames) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
    StreamBody::new(futures_util::stream::iter(frames))
}

fn part(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// What a body comes to: its parts, and the names of its trailers.
fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> (Vec<Bytes>, Option<HeaderMap>, bool) {
    let mut body = body;
    let mut context = Context::from_waker(std::task::Waker::noop());
    let (mut parts, mut trailers) = (Vec::new(), None);
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
        match frame.map(Frame::into_data) {
            Ok(Ok(part)) => parts.push(part),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(_) => return (parts, trailers, false),
        }
    }
    (parts, trailers, true)
}

#[test]
fn a_body_is_sent_again_with_its_trailers_and_without_copying() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    let one = Bytes::from(b"one".to_vec());
    let frames = vec![
        Ok(Frame::data(one.clone())),
        Ok(part("two")),
        Ok(Frame::trailers(trailers.clone())),
    ];
    let (first, kept) = ReplayBody::keep(body(frames), 1_000);
    assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());
    let sent = read(first);
    for _ in 0..2 {
        let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
        // Its length was not known the first time.
        assert_eq!(
            (again.size_hint().lower(), again.size_hint().upper()),
            (6, None)
        );
        let again = read(again);
        assert_eq!(sent, again);
        assert_eq!(again.0[0].as_ptr(), one.as_ptr());
        assert_eq!(again.1.as_ref(), Some(&trailers));
    }
}

#[test]
fn a_body_that_was_not_sent_through_is_not_sent_again() {
    let frames = vec![Ok(part("one")), Ok(part("two"))];
    let (mut first, kept) = ReplayBody::keep(body(frames), 1_000);
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut first).poll_frame(&mut context).is_ready());
    drop(first);
    assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());

    let broken = vec![Ok(part("one")), Err("the caller is gone")];
    let (first, kept) = ReplayBody::keep(body(broken), 1_000);
    assert!(!read(first).2);
    assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());
}

#[test]
fn a_body_without_anything_needs_no_memory() {
    let (first, kept) = ReplayBody::keep(http_body_util::Empty::<Bytes>::new(), 0);
    assert!(first.is_end_stream());
    assert!(matches!(kept, KeptBody::Empty));
    let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
    assert_eq!(again.size_hint().exact(), Some(0));
    assert!(again.is_end_stream());
}

#[test]
fn a_body_that_says_that_it_is_too_long_is_not_kept() {
    let long = http_body_util::Full::new(Bytes::from_static(&[0; 100]));
    let (first, kept) = ReplayBody::keep(long.clone(), 99);
    assert!(matches!(kept, KeptBody::TooLong));
    assert_eq!(read(first).0[0].len(), 100);
    let (mut first, kept) = ReplayBody::keep(long, 100);
    // Known to be over with its last part, though nobody asked for more.
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut first).poll_frame(&mut context).is_ready());
    let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
    assert_eq!(again.size_hint().exact(), Some(100));
    assert_eq!(read(again).0[0].len(), 100);
}

proptest! {
    /// Whatever the parts: the first attempt sends them all, and a later one sends the same or
    /// nothing, and never has more than the limit.
    #[test]
    fn what_is_sent_again_is_what_was_sent(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..40),
        limit in 0_usize..4_000,
    ) {
        let frames = parts.iter().map(|part| Ok(Frame::data(Bytes::from(part.clone()))));
        let (first, kept) = ReplayBody::keep(body(frames.collect()), limit);
        let (sent, _, whole) = read(first);
        prop_assert!(whole);
        prop_assert_eq!(&sent, &parts);
        let length: usize = parts.iter().map(Vec::len).sum();
        let sent: Vec<Bytes> = sent.into_iter().filter(|part| !part.is_empty()).collect();
        let counted: usize = sent.iter().map(|part| part.len().max(SMALLEST_PART)).sum();
        match kept.again::<http_body_util::Empty<Bytes>>() {
            Some(again) => {
                prop_assert!(length <= limit);
                prop_assert_eq!(read(again).0, sent);
            }
            None => prop_assert!(counted > limit),
        }
    }
}
