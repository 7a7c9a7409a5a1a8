//! The panics of the libraries that read Parquet and Arrow, of files that are damaged in ways which these do not foresee.
//! In: work that reads a file which nothing proved. Out: its result, or an error with the words of the panic.
//! Never hides a panic of our own: the error says what was panicked.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use parquet::errors::{ParquetError, Result};

/// The words of a panic.
pub fn words_of(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// Reads a file. Fails where a library panics.
pub(super) fn reading<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(error_of(&*panic)))
}

/// Reads as a future does. Fails with what `error` makes of it where a library panics.
pub(super) async fn reading_later<T, E>(
    read: impl Future<Output = std::result::Result<T, E>>,
    error: impl FnOnce(ParquetError) -> E,
) -> std::result::Result<T, E> {
    AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|panic| Err(error(error_of(&*panic))))
}

fn error_of(panic: &(dyn Any + Send)) -> ParquetError {
    ParquetError::General(format!("its reader panicked: {}", words_of(panic).unwrap_or("it does not say why")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_words() {
        let places: Vec<usize> = Vec::new();
        let told = reading(|| Ok(places[1])).unwrap_err().to_string();
        assert!(told.contains("index out of bounds"), "{told}");
        let later = reading_later(async { Ok::<_, ParquetError>(places[2]) }, |error| error).await;
        assert!(later.unwrap_err().to_string().contains("index out of bounds"));
        assert_eq!(reading(|| Ok(7)).unwrap(), 7);
    }
}
