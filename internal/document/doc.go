// Package document holds a JSON document as a flat tape: its values in the order
// of the text, each with where the next one begins. It is parsed and validated
// once and read many times, by rules and by policies.
//
// What it takes is what encoding/json takes, with these choices: of a key that is
// there twice the last value counts; text that is not UTF-8 has U+FFFD in its
// place; numbers keep their text, and one that is written as a whole number and
// fits 64 bits is an Int, every other a Double; depth and size are bounded.
//
// A Projection says which members will be read. The others are validated and left
// out, and the members it names are found without a search. A Document's buffers
// are used again by the next Parse, so that parsing many documents of a kind
// allocates nothing in the end; what was got from it, texts among it, is valid until
// then.
package document
