"""Models that talk about pictures: any ``AutoModelForImageTextToText`` with a chat template. Importing the
package loads no torch."""
