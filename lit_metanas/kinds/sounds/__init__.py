"""Task sources of speech."""

from lit_metanas.kinds.sounds.audio_folders import AudioFolder, AudioFolderTask
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.spoken_words import SpokenWords
from lit_metanas.kinds.sounds.transcripts import TranscriptTask

__all__ = ["AudioFolder", "AudioFolderTask", "LogMel", "SpokenWords", "TranscriptTask"]
